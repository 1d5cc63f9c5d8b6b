// Package embedded has interfaces of interfaces.
package embedded

import (
	"context"
	"io"

	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/store"
)

// Reader reads.
//
//trace:kind client
//trace:name not inherited
type Reader interface {
	//trace:attr id=id
	Read(ctx context.Context, id string) (string, error)
	io.Closer
}

// Writer writes. It shares Close with Reader.
type Writer interface {
	//trace:name write it
	//trace:kind producer
	Write(ctx context.Context, id, text string) error
	Close() error
}

//go:generate go tool tracegen -iface All,Overridden -out trace_gen.go

// All is both, and more.
type All interface {
	Own(ctx context.Context)
	Reader
	Writer
	// A store of another package, whose directives count.
	store.Store
	//trace:skip
	fmtStringer
	interface {
		//trace:attr n=n
		Literal(ctx context.Context, n int)
	}
}

type fmtStringer = interface{ String() string }

// Overridden gives methods that it embeds directives of its own.
//
//trace:ignore-error err == io.EOF
type Overridden interface {
	//trace:kind consumer
	Reader
	//trace:skip
	Read(ctx context.Context, id string) (string, error)
	//trace:ignore-error err == io.ErrUnexpectedEOF
	store.Store
	//trace:skip
	Close() error
}
