package client

import (
	"context"
	"sync"

	"github.com/throughline/throughline/backend/span"
)

// Lazy is a client of a server that need not run yet: its kind is found out by the
// first question, and again until there is an answer.
type Lazy struct {
	Options Options

	mu   sync.Mutex
	real Client
}

func (l *Lazy) open(ctx context.Context) (Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.real == nil {
		c, err := Open(ctx, l.Options)
		if err != nil {
			return nil, err
		}
		l.real = c
	}
	return l.real, nil
}

// Kind is empty until it has been found out.
func (l *Lazy) Kind() Kind {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.real == nil {
		return l.Options.Kind
	}
	return l.real.Kind()
}

// Search implements [Client].
func (l *Lazy) Search(ctx context.Context, q Query) (Found, error) {
	c, err := l.open(ctx)
	if err != nil {
		return Found{}, err
	}
	return c.Search(ctx, q)
}

// Trace implements [Client].
func (l *Lazy) Trace(ctx context.Context, id span.TraceID) (*span.Trace, error) {
	c, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return c.Trace(ctx, id)
}

// Services implements [Client].
func (l *Lazy) Services(ctx context.Context) ([]Service, error) {
	c, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return c.Services(ctx)
}

// Operations implements [Client].
func (l *Lazy) Operations(ctx context.Context, service string) ([]Operation, error) {
	c, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return c.Operations(ctx, service)
}

// Metrics implements [Client].
func (l *Lazy) Metrics(ctx context.Context, q MetricsQuery) ([]Series, error) {
	c, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return c.Metrics(ctx, q)
}

// Tail implements [Client].
func (l *Lazy) Tail(ctx context.Context, q Query, found func(Match) error) error {
	c, err := l.open(ctx)
	if err != nil {
		return err
	}
	return c.Tail(ctx, q, found)
}
