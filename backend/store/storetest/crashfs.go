package storetest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"github.com/throughline/throughline/backend/store"
)

// ErrPowerLost is what every operation of a [CrashFS] returns after the cut.
var ErrPowerLost = errors.New("power lost")

// CrashFS is a file system in memory that knows which bytes and which names were
// synced. It can lose power after any operation that changes something, and it
// can fail operations.
type CrashFS struct {
	mu      sync.Mutex
	names   map[string]*crashFile
	durable map[string]*crashFile // as of the last SyncDir
	ops     int
	cut     int // lose power when ops reaches it; 0 is never
	lost    bool
	locked  bool
	fail    func(op, name string) error
	abused  []string
}

type crashFile struct {
	fs     *CrashFS
	name   string
	data   []byte
	synced []byte
	failed bool // a write or a sync; such a file is not to be trusted again
}

// NewCrashFS makes an empty file system that loses power at the operation with
// that number, counted from 1; 0 is never.
func NewCrashFS(cut int) *CrashFS {
	return &CrashFS{names: map[string]*crashFile{}, durable: map[string]*crashFile{}, cut: cut}
}

// Fail makes operations fail for which f returns an error: create, open, rename,
// remove, list, syncdir, write, sync, truncate and map, with the file's base name.
func (fs *CrashFS) Fail(f func(op, name string) error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.fail = f
}

// Abused lists the files that were written to or synced after that had failed: a
// sync that succeeds then says nothing about what was written before.
func (fs *CrashFS) Abused() []string {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.abused
}

// Ops is how many operations have changed something.
func (fs *CrashFS) Ops() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.ops
}

// Restart returns what is there after the loss of power: what was synced and,
// with rng, of the rest what chance has left: names that were not synced, and
// beginnings of what was written after the last sync, with garbage at the end.
func (fs *CrashFS) Restart(rng *rand.Rand) *CrashFS {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	out := NewCrashFS(0)
	names := maps.Clone(fs.durable)
	if rng != nil {
		for name, f := range fs.names {
			if rng.IntN(2) == 0 {
				names[name] = f
			}
		}
		for name := range fs.durable {
			if fs.names[name] == nil && rng.IntN(2) == 0 {
				delete(names, name)
			}
		}
	}
	for name, f := range names {
		data := append([]byte{}, f.synced...)
		if more := len(f.data) - len(f.synced); rng != nil && more > 0 && string(f.data[:len(f.synced)]) == string(f.synced) {
			data = append(data, f.data[len(f.synced):][:rng.IntN(more+1)]...)
			for range rng.IntN(40) {
				data = append(data, byte(rng.Uint32()))
			}
		}
		c := &crashFile{fs: out, name: name, data: data, synced: data}
		out.names[name], out.durable[name] = c, c
	}
	return out
}

// do counts an operation that changes something, or refuses it. It needs the lock.
func (fs *CrashFS) do(op, name string) error {
	if fs.lost {
		return ErrPowerLost
	}
	if fs.fail != nil {
		if err := fs.fail(op, filepath.Base(name)); err != nil {
			return &os.PathError{Op: op, Path: name, Err: err}
		}
	}
	switch op {
	case "open", "list", "map":
		return nil
	}
	if fs.ops++; fs.ops == fs.cut {
		fs.lost = true
		return ErrPowerLost
	}
	return nil
}

func (fs *CrashFS) MkdirAll(string) error { return nil }

func (fs *CrashFS) Create(name string) (store.File, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.do("create", name); err != nil {
		return nil, err
	}
	if fs.names[name] != nil {
		return nil, &os.PathError{Op: "create", Path: name, Err: os.ErrExist}
	}
	f := &crashFile{fs: fs, name: name}
	fs.names[name] = f
	return f, nil
}

func (fs *CrashFS) Open(name string) (store.File, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.do("open", name); err != nil {
		return nil, err
	}
	if f := fs.names[name]; f != nil {
		return f, nil
	}
	return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
}

func (fs *CrashFS) Rename(from, to string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.do("rename", from); err != nil {
		return err
	}
	f := fs.names[from]
	if f == nil {
		return &os.PathError{Op: "rename", Path: from, Err: os.ErrNotExist}
	}
	fs.names[to] = f
	delete(fs.names, from)
	return nil
}

func (fs *CrashFS) Remove(name string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.do("remove", name); err != nil {
		return err
	}
	if fs.names[name] == nil {
		return &os.PathError{Op: "remove", Path: name, Err: os.ErrNotExist}
	}
	delete(fs.names, name)
	return nil
}

func (fs *CrashFS) List(dir string) ([]store.FileInfo, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.do("list", dir); err != nil {
		return nil, err
	}
	var list []store.FileInfo
	for name, f := range fs.names {
		if filepath.Dir(name) == dir {
			list = append(list, store.FileInfo{Name: filepath.Base(name), Size: int64(len(f.data))})
		}
	}
	return list, nil
}

func (fs *CrashFS) SyncDir(dir string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.do("syncdir", dir); err != nil {
		return err
	}
	fs.durable = maps.Clone(fs.names)
	return nil
}

func (fs *CrashFS) Lock(name string) (io.Closer, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.locked {
		return nil, fmt.Errorf("%w: %s", store.ErrLocked, name)
	}
	fs.locked = true
	return unlocker{fs}, nil
}

type unlocker struct{ fs *CrashFS }

func (u unlocker) Close() error {
	u.fs.mu.Lock()
	defer u.fs.mu.Unlock()
	u.fs.locked = false
	return nil
}

// use notes when a file that had failed is used again.
func (f *crashFile) use() {
	if f.failed {
		f.fs.abused = append(f.fs.abused, f.name)
	}
}

func (f *crashFile) Write(b []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.use()
	if err := f.fs.do("write", f.name); err != nil {
		f.failed = true
		// A write that fails may have written some of it.
		n := len(b) / 2
		f.data = append(f.data, b[:n]...)
		return n, err
	}
	f.data = append(f.data, b...)
	return len(b), nil
}

func (f *crashFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.use()
	if err := f.fs.do("sync", f.name); err != nil {
		f.failed = true
		return err
	}
	f.synced = append([]byte{}, f.data...)
	return nil
}

func (f *crashFile) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.do("truncate", f.name); err != nil {
		return err
	}
	f.data = f.data[:min(int(size), len(f.data))]
	return nil
}

func (f *crashFile) Reserve(int64) {}

func (f *crashFile) Close() error { return nil }

func (f *crashFile) Map() ([]byte, func() error, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.do("map", f.name); err != nil {
		return nil, nil, err
	}
	return append([]byte{}, f.data...), func() error { return nil }, nil
}
