// Package store has an interface that other packages embed and wrap.
package store

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Key is a key.
type Key string

// ErrMissing is no failure.
var ErrMissing = errors.New("missing")

// Empty reports whether k is empty.
func Empty(k Key) bool { return k == "" }

// Store stores.
//
//trace:kind client
type Store interface {
	//trace:attr key=k
	//trace:attr empty=Empty(k)
	//trace:attr key.type=string(Key("x"))
	//trace:ignore-error errors.Is(err, ErrMissing)
	Load(ctx context.Context, k Key) ([]byte, error)
	Save(ctx context.Context, k Key, value []byte, opts ...func(*Options)) error
}

// Options are options.
type Options struct{ TTL int }

// Fail marks span as failed.
func Fail(span trace.Span, err error) { span.SetStatus(codes.Error, "store: "+err.Error()) }
