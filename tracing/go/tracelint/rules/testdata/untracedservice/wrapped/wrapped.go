// Package wrapped wraps what it constructs.
package wrapped

import (
	"context"

	"example.com/shop/untracedservice/articles"
)

func Run(ctx context.Context, serve func(articles.Service) error) error {
	return serve(articles.TraceService(articles.NewService(articles.NewMemory())))
}

// All has the methods of a traced type of another package, and one of its own.
type All struct { // want All:"AllService: 3 of 3 methods instrumented"
	*articles.Notes
}

type AllService interface {
	Read(ctx context.Context) error
	Write(ctx context.Context) error
	Sync(ctx context.Context) error
}

func (a *All) Sync(ctx context.Context) error {
	ctx, end := articles.Begin(ctx, "sync")
	defer end.End()
	return a.Read(ctx)
}

// Both has the methods of whatever note service it is given, which may trace.
type Both struct { // want Both:"NoteService: 0 of 2 methods instrumented"
	articles.NoteService
}

func (b *Both) Sync(ctx context.Context) error {
	ctx, end := articles.Begin(ctx, "sync")
	defer end.End()
	return b.Read(ctx)
}
