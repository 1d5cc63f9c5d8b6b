package store

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// lockName is the file whose lock says that a process has the directory open.
const lockName = "LOCK"

// Open opens the store in a directory, which is made when it is not there, and
// recovers what a crash left. Files that cannot be read are renamed to end in
// ".corrupt", counted and logged, and the rest is served. The error wraps
// ErrLocked when another process has the directory open, and is a *VersionError
// when a newer version of this program has written there.
func Open(dir string, options Options) (*DB, error) {
	options = options.orDefault()
	began := time.Now()
	fs := options.FS
	if err := fs.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	lock, err := fs.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("opening store %q: %w", dir, err)
	}
	db := newDB(dir, options)
	db.fs, db.lock = fs, lock
	if err := db.recover(); err != nil {
		for _, s := range db.list {
			err = errors.Join(err, s.release())
		}
		return nil, errors.Join(fmt.Errorf("opening store %q: %w", dir, err), lock.Close())
	}
	spans := uint64(0)
	for _, s := range db.list {
		spans += s.foot.rows
	}
	options.Log.Info("store opened", "dir", dir, "segments", len(db.list), "spans_in_segments", spans,
		"recovered_requests", db.counters.recoveredRecords.Load(), "recovered_spans", db.counters.recoveredSpans.Load(),
		"corrupt_files", db.counters.corrupt.Load(), "took", time.Since(began).Round(10*time.Microsecond))
	db.start()
	return db, nil
}

func (db *DB) recover() error {
	files, err := db.fs.List(db.dir)
	if err != nil {
		return err
	}
	var segments []*segment
	var logs []*wal
	for _, f := range files {
		name := filepath.Join(db.dir, f.Name)
		var a, b uint64
		switch {
		case strings.HasSuffix(f.Name, tempSuffix):
			if err := db.fs.Remove(name); err != nil {
				return err
			}
		// A name that ends in ".corrupt" is not used twice either.
		case scan(f.Name, "%010d-%010d.seg"+corruptSuffix, &a, &b):
			db.nextWAL = max(db.nextWAL, b+1)
		case scan(f.Name, "%010d.wal"+corruptSuffix, &a):
			db.nextWAL = max(db.nextWAL, a+1)
		case scan(f.Name, "%010d-%010d.seg", &a, &b):
			db.nextWAL = max(db.nextWAL, b+1)
			s, err := db.openFile(name, a, b)
			if err == nil {
				segments = append(segments, s)
				db.list = segments // to be released
				continue
			}
			if err := db.setAside(name, err); err != nil {
				return err
			}
		case scan(f.Name, "%010d.wal", &a):
			db.nextWAL = max(db.nextWAL, a+1)
			logs = append(logs, &wal{fs: db.fs, name: name, number: a})
		}
	}
	// A compacted segment holds what those it was made of hold, which go after it
	// has its name: those that are still there are left from a crash.
	slices.SortFunc(segments, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(a.first, b.first), -cmp.Compare(a.last, b.last))
	})
	db.list = nil
	sealedTo := uint64(0)
	for _, s := range segments {
		if n := len(db.list); n > 0 && s.last <= db.list[n-1].last {
			db.discard(s)
			continue
		}
		db.list = append(db.list, s)
		sealedTo = max(sealedTo, s.last)
	}
	slices.SortFunc(logs, func(a, b *wal) int { return cmp.Compare(a.number, b.number) })
	for _, w := range logs {
		// Heads are sealed in order, so these are in a segment.
		if w.number <= sealedTo {
			if err := db.fs.Remove(w.name); err != nil {
				return err
			}
			continue
		}
		if err := db.replay(w); err != nil {
			return err
		}
	}
	return nil
}

// setAside renames a file that cannot be read; other errors are passed on.
func (db *DB) setAside(name string, err error) error {
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) {
		return err
	}
	db.counters.corrupt.Add(1)
	db.options.Log.Error("file set aside", "file", name, "as", name+corruptSuffix, "error", err)
	return db.fs.Rename(name, name+corruptSuffix)
}

// replay appends what a log holds to the head.
func (db *DB) replay(w *wal) error {
	f, err := db.fs.Open(w.name)
	if err != nil {
		return err
	}
	data, unmap, err := f.Map()
	if err != nil {
		return errors.Join(fmt.Errorf("mapping log %q: %w", w.name, err), f.Close())
	}
	h := db.head
	h.limits, db.stream.Limits = replayLimits, replayLimits
	unreadable := 0
	read, err := readWAL(w.name, data, func(received uint64, request string) error {
		from := h.n
		h.received = received
		if _, err := db.stream.Decode(request, received, h); err != nil {
			h.kill(from, h.n)
			unreadable++
		}
		h.touch(time.Now())
		h.commit(h.n)
		return nil
	})
	h.bytes = h.size()
	err = errors.Join(err, unmap(), f.Close())
	if err != nil {
		return db.setAside(w.name, err)
	}
	db.counters.recoveredRecords.Add(uint64(read.Records))
	db.counters.recoveredSpans.Add(uint64(h.n))
	if read.Skipped > 0 || unreadable > 0 {
		w.damaged = true
		db.counters.corrupt.Add(1)
		db.options.Log.Error("log is damaged: its readable records are used, and it is kept beside the segment",
			"log", w.name, "records", read.Records, "unreadable_records", unreadable, "skipped_bytes", read.Skipped)
	}
	if read.Torn > 0 {
		db.counters.walLost.Add(uint64(read.Torn))
		db.options.Log.Info("log ends in a record that is not whole, as a crash leaves of one that was not acknowledged", "log", w.name, "bytes", read.Torn)
	}
	w.bytes = int64(len(data))
	h.wals = append(h.wals, w)
	if h.n >= db.options.HeadSpans || h.bytes >= db.options.HeadBytes || h.n == 0 {
		db.rotate()
	}
	return nil
}

// scan parses a file name, which must be what the format makes of its numbers.
func scan(name, format string, numbers ...any) bool {
	if n, err := fmt.Sscanf(name, format, numbers...); err != nil || n != len(numbers) {
		return false
	}
	values := make([]any, len(numbers))
	for i, p := range numbers {
		values[i] = *p.(*uint64)
	}
	return fmt.Sprintf(format, values...) == name
}
