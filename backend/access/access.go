// Package access decides who may use a server: bearer tokens with the sessions
// that browsers get in their place, and certificates for TLS.
//
// Both come from files that are read again when they change, so that a secret is
// renewed without a restart: whatever is used looks at its files at most once a
// second. A file that has become unreadable or wrong is logged, and what was
// there before goes on being used. Tokens are kept as digests and compared in
// constant time. There are no users and no permissions: who has the token of a
// port may do everything that the port does.
package access

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// reloadEvery is the least time between two looks at the same files.
const reloadEvery = time.Second

// files are some that are read together and again when they change.
type files struct {
	names []string
	log   *slog.Logger

	mu       sync.Mutex
	looked   time.Time
	contents [][]byte
	lastErr  string // what was logged last, to log it once
}

// newFiles reads the files for the first time.
func newFiles(log *slog.Logger, load func(contents [][]byte) error, names ...string) (*files, error) {
	f := &files{names: names, log: log}
	contents, err := f.read()
	if err != nil {
		return nil, err
	}
	if err := load(contents); err != nil {
		return nil, err
	}
	f.contents, f.looked = contents, time.Now()
	return f, nil
}

// maxFile bounds what is read of a file that is named by mistake.
const maxFile = 1 << 20

func (f *files) read() ([][]byte, error) {
	contents := make([][]byte, len(f.names))
	for i, name := range f.names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if info.Size() > maxFile {
			return nil, fmt.Errorf("%q: %d bytes are too many", name, info.Size())
		}
		if contents[i], err = os.ReadFile(name); err != nil {
			return nil, err
		}
	}
	return contents, nil
}

// refresh calls load when the files have changed. When that fails, what load has
// set before stays.
func (f *files) refresh(load func(contents [][]byte) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < reloadEvery {
		return
	}
	f.looked = time.Now()
	contents, err := f.read()
	if err == nil {
		same := true
		for i := range contents {
			same = same && bytes.Equal(contents[i], f.contents[i])
		}
		if same {
			f.lastErr = ""
			return
		}
		err = load(contents)
	}
	if err != nil {
		if text := err.Error(); text != f.lastErr {
			f.lastErr = text
			f.log.Error("reading again: what was read before stays in use", "files", f.names, "error", err)
		}
		return
	}
	f.contents, f.lastErr = contents, ""
	f.log.Info("read again", "files", f.names)
}

var errNoFiles = errors.New("a certificate and its key are given together")
