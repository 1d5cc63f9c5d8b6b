package store

import (
	"fmt"
	"io"

	"github.com/gofrs/flock"
)

func (OS) Lock(name string) (io.Closer, error) {
	lock := flock.New(name)
	ok, err := lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s is locked", ErrLocked, name)
	}
	return lock, nil
}
