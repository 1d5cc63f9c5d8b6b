// Package names has parameters and results whose names are missing, blank, or
// those that a wrapper would like for itself; and a package-level declaration
// of every name that the wrapper's imports have.
package names

import (
	"context"
	"errors"
	"io"
	"time"
)

// What other packages are called, this one calls its own.
type (
	trace     struct{}
	codes     int
	attribute func(trace, codes) int
)

var noop, semconv = attribute(nil), trace{}

func fmt() (trace, codes, attribute) { return semconv, 0, noop }

// ErrGone is no failure.
var ErrGone = errors.New("gone")

//go:generate go tool tracegen -iface Store

// Store has methods with difficult names.
type Store interface {
	Unnamed(context.Context, string, ...int) (int, error)
	//trace:attr id=param1
	//trace:attr n=len(param2)
	//trace:attr got=result0
	Referred(context.Context, string, []int) (int, error)
	Blank(_ context.Context, _ string, _ int) (_ string, _ error)
	Later(string, context.Context) (e error)
	//trace:ignore-error errors.Is(e, ErrGone)
	//trace:attr ok=done
	Named(ctx context.Context, t time.Time, w io.Writer, s string, x int) (done bool, e error)
	//trace:attr len=len
	//trace:attr string=string
	Shadow(ctx context.Context, len int, string string) (span, returned bool, err error)
	//trace:attr nil=len(nil)
	//trace:attr error=errors == ErrGone
	//trace:attr attribute2=attribute + otelattribute
	Words(ctx context.Context, nil []int, errors error, attribute, otelattribute string, true bool)
	Context(context context.Context, ctx string) (err string, result0 int, _ error)
	Numbered(context.Context, string, int) (param2 int, param1 string)
	//trace:attr seconds=param1.Seconds()
	Types(_ context.Context, _ time.Duration, time string) (provider, next, tracer int)
	next(ctx context.Context) (tracer, end error)
	tracer(ctx context.Context)
	end(ctx context.Context)
	fail(ctx context.Context) error
}
