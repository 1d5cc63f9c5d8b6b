// Package iterators has methods that return iterators and channels.
package iterators

import (
	"context"
	"iter"
)

// Article is what is iterated over.
type Article struct{ ID string }

// Articles is an iterator type of this package.
type Articles iter.Seq[*Article]

// Yield is the type of a yield function.
type Yield func(*Article) bool

//go:generate go tool tracegen -iface Service

// Service returns sequences.
type Service interface {
	//trace:attr limit=limit
	All(ctx context.Context, limit int) iter.Seq[Article]
	Indexed(ctx context.Context) iter.Seq2[int, Article]
	//trace:ignore-error err == context.Canceled
	Fallible(ctx context.Context) iter.Seq2[Article, error]
	//trace:attr total=total
	Counted(ctx context.Context) (articles iter.Seq[Article], total int, err error)
	//trace:ignore-error errors.Is(err, context.Canceled)
	Both(ctx context.Context) (int, iter.Seq2[Article, error], error)
	Defined(ctx context.Context) Articles
	Plain(ctx context.Context) func(yield func(int, string) bool)
	DefinedYield(ctx context.Context, v, yield int) func(Yield)
	Channel(ctx context.Context) (<-chan Article, chan<- (<-chan int), chan (<-chan error))
	//trace:skip
	Two(ctx context.Context) (iter.Seq[int], iter.Seq[int])
	NoContext() iter.Seq[int]
}
