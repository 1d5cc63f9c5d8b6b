package store

import (
	"io"
	"os"
	"slices"
	"sync"
)

// memory is an FS for segments that are not to outlive the process.
type memory struct {
	mu    sync.Mutex
	files map[string]*memoryFile
}

type memoryFile struct{ data []byte }

func newMemory() *memory { return &memory{files: map[string]*memoryFile{}} }

func (m *memory) MkdirAll(string) error { return nil }

func (m *memory) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &memoryFile{}
	m.files[name] = f
	return f, nil
}

func (m *memory) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[name]
	if f == nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	return f, nil
}

func (m *memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[to] = m.files[from]
	delete(m.files, from)
	return nil
}

func (m *memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, name)
	return nil
}

func (m *memory) List(string) ([]FileInfo, error) { return nil, nil }
func (m *memory) SyncDir(string) error            { return nil }
func (m *memory) Lock(string) (io.Closer, error)  { return io.NopCloser(nil), nil }
func (f *memoryFile) Close() error                { return nil }

// Sync comes when all is written.
func (f *memoryFile) Sync() error                 { f.data = slices.Clip(slices.Clone(f.data)); return nil }
func (f *memoryFile) Reserve(int64)               {}
func (f *memoryFile) Truncate(size int64) error   { f.data = f.data[:size]; return nil }
func (f *memoryFile) Write(b []byte) (int, error) { f.data = append(f.data, b...); return len(b), nil }
func (f *memoryFile) Map() ([]byte, func() error, error) {
	return f.data, func() error { return nil }, nil
}
