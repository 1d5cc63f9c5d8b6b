package store

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"unsafe"
)

// ErrUnavailable is wrapped by the error of an Append that cannot be made
// durable now, because the disk is full, read-only or failing, or sealing is
// behind. Nothing of the request was acknowledged; a client may retry, and what
// is stored can be read.
var ErrUnavailable = errors.New("store cannot write")

// ErrTooManyValues says that a column of a [SpanScan] has more distinct values than
// it may have.
var ErrTooManyValues = errors.New("too many distinct values")

// CorruptError says that a file is not what was written.
type CorruptError struct {
	File string
	Err  error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("file %q is corrupt: %v", e.File, e.Err) }
func (e *CorruptError) Unwrap() error { return e.Err }

// VersionError says that a file was written by a newer version of this program.
type VersionError struct {
	File      string
	Is, Known uint32
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("file %q has format version %d, and this program knows versions up to %d: use a newer one", e.File, e.Is, e.Known)
}

// guard turns what reading a damaged segment ends in into an error: the
// CorruptError that a source panics with, and the fault of a mapped page that
// the disk did not deliver, which is of one of the segments. It is deferred
// wherever segments are read.
func guard(err *error, segments []*segment) {
	switch r := recover().(type) {
	case nil:
	case *CorruptError:
		*err = r
	case runtime.Error:
		fault, ok := r.(interface{ Addr() uintptr })
		if !ok {
			panic(r)
		}
		at := slices.IndexFunc(segments, func(s *segment) bool {
			from := uintptr(unsafe.Pointer(unsafe.SliceData(s.data)))
			return fault.Addr() >= from && fault.Addr() < from+uintptr(s.size)
		})
		if at < 0 {
			panic(r)
		}
		*err = &CorruptError{File: segments[at].name, Err: fmt.Errorf("reading: %w", r)}
	default:
		panic(r)
	}
}

// faults makes a fault of a mapped page a panic of this goroutine, for guard; the
// result is deferred.
func faults() func() {
	old := debug.SetPanicOnFault(true)
	return func() { debug.SetPanicOnFault(old) }
}
