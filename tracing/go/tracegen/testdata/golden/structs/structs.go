// Package structs derives interfaces from types that have none.
package structs

import (
	"context"
	"sync"
)

//go:generate go tool tracegen -struct Client,Cache=Store,Func -out trace_gen.go

// Client is a client.
//
//trace:kind client
type Client struct {
	sync.Mutex
	base
	Log []string
}

// Get gets.
//
//trace:attr id=id
func (c *Client) Get(ctx context.Context, id string) (string, error) {
	c.Log = append(c.Log, id)
	return c.get(ctx, id)
}

// Close closes.
//
//trace:skip
func (c *Client) Close() error { return nil }

func (c *Client) get(_ context.Context, id string) (string, error) { return id, nil }

type base struct{}

// Promoted is promoted.
//
//trace:name promoted
func (base) Promoted(context.Context) {}

// Cache is generic.
type Cache[K comparable, V any] struct{ M map[K]V }

// Get gets.
//
//trace:attr found=ok
func (c *Cache[Key, V]) Get(ctx context.Context, key Key) (ok bool) {
	_, ok = c.M[key]
	return ok
}

// Func is a function with methods.
type Func func(context.Context) error

// Call calls f.
func (f Func) Call(ctx context.Context) error { return f(ctx) }
