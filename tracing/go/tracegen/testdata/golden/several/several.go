// Package several has several interfaces, exported or not, and aliases, in one
// file and in two.
package several

import (
	"context"
	"io"

	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/store"
)

//go:generate go tool tracegen -iface reader,Writer,Store,Plain -out trace_gen.go
//go:generate go tool tracegen -iface Twin -func Instrument
//go:generate go tool tracegen -iface twin -out twin_own_trace.go
//go:generate go tool tracegen -iface Empty

type reader interface {
	read(ctx context.Context, p []byte) (int, error)
}

// Writer writes.
type Writer interface {
	Write(ctx context.Context, p []byte) (int, error)
	reader
}

// Store is an alias of another package's interface.
type Store = store.Store

// Plain is an alias of an interface without a name.
type Plain = interface {
	//trace:name plainly
	Do(ctx context.Context) error
}

// Twin has a twin.
type Twin interface {
	Do(ctx context.Context) error
}

type twin interface{ Do(ctx context.Context) }

// Empty has nothing to trace.
type Empty io.ReadWriteCloser
