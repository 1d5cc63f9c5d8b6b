package store

import (
	"errors"
	"io"
	"os"
)

// FS is what the store needs of a file system, so that tests can cut the power,
// fill the disk and fail an fsync. Names are paths as the operating system has
// them. [OS] is the real one.
type FS interface {
	MkdirAll(dir string) error
	// Create makes a file that does not exist yet.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// List returns the files of a directory, without those below it.
	List(dir string) ([]FileInfo, error)
	// SyncDir makes what was created, renamed and removed in dir survive a loss
	// of power.
	SyncDir(dir string) error
	// Lock takes the lock that the file of that name stands for, or returns an
	// error that wraps ErrLocked. It is freed by closing, and with the process.
	Lock(name string) (io.Closer, error)
}

// FileInfo is an entry of a directory.
type FileInfo struct {
	Name string // without the directory
	Size int64
}

// File is an open file of an [FS].
type File interface {
	io.Writer // at the end
	io.Closer
	// Sync makes what was written survive a loss of power. After an error
	// nothing is known about any byte written since the last success.
	Sync() error
	// Reserve asks for disk space up to size ahead of the writes to come, which
	// makes their Sync cheaper; what was reserved reads as zeros. It is a hint
	// that may do nothing.
	Reserve(size int64)
	Truncate(size int64) error
	// Map returns the whole content, which must not change; unmap ends its use.
	Map() (data []byte, unmap func() error, err error)
}

// ErrLocked is wrapped by the error of [Open] for a directory that another
// process has open.
var ErrLocked = errors.New("directory is in use by another process")

// OS is the file system of the operating system.
type OS struct{}

const dirMode, fileMode = 0o750, 0o640

func (OS) MkdirAll(dir string) error { return os.MkdirAll(dir, dirMode) }

func (OS) Create(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (OS) Open(name string) (File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (OS) Rename(from, to string) error { return os.Rename(from, to) }
func (OS) Remove(name string) error     { return os.Remove(name) }

func (OS) List(dir string) ([]FileInfo, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []FileInfo
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, FileInfo{e.Name(), info.Size()})
	}
	return files, nil
}

func (OS) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(f), f.Close())
}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return syncFile(f.File) }

func (f osFile) Reserve(size int64) { reserve(f.File, size) }

func (f osFile) Map() ([]byte, func() error, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	size := info.Size()
	if size == 0 {
		return nil, func() error { return nil }, nil
	}
	if int64(int(size)) != size {
		return nil, nil, errors.New("file is too large for this machine's addresses")
	}
	data, unmap, err := mmap(f.File, int(size))
	if err == nil {
		return data, unmap, nil
	}
	data = make([]byte, size)
	if _, err := f.ReadAt(data, 0); err != nil {
		return nil, nil, err
	}
	return data, func() error { return nil }, nil
}
