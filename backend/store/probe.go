package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// probeBytes is what must fit for a disk to be taken for writable again: about one
// request.
const probeBytes = 256 << 10

// probe finds out whether the store can write again after it could not, so that a
// server that is taken out of service until it can comes back by itself.
func (db *DB) probe() {
	db.mu.Lock()
	due := db.lastErr != nil && len(db.sealing) < maxSealing && !db.closed
	db.mu.Unlock()
	if !due || !db.appending.TryLock() {
		return
	}
	_, err := db.writable(context.Background())
	db.appending.Unlock()
	if err != nil || db.tryWriting() != nil {
		return
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.lastErr != nil {
		db.wellAgain()
	}
}

func (db *DB) tryWriting() error {
	name := filepath.Join(db.dir, "probe"+tempSuffix)
	f, err := db.fs.Create(name)
	if errors.Is(err, os.ErrExist) {
		if err = db.fs.Remove(name); err == nil {
			f, err = db.fs.Create(name)
		}
	}
	if err != nil {
		return err
	}
	if _, err = f.Write(make([]byte, probeBytes)); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), db.fs.Remove(name))
}

// wellAgain notes that the store can write; mu must be held.
func (db *DB) wellAgain() {
	db.options.Log.Info("the store can write again")
	db.lastErr = nil
}
