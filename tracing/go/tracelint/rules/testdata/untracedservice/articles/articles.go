// Package articles has a service without spans, and a wrapper that traces it.
package articles

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

var tracer = otel.Tracer("example.com/shop/untracedservice/articles")

type Service interface {
	List(ctx context.Context) ([]string, error)
	Get(ctx context.Context, id string) (string, error)
	Put(ctx context.Context, id, text string) error
	Delete(ctx context.Context, id string) error
	Close(ctx context.Context) error
}

// SuggestionService has no wrapper at all.
type SuggestionService interface {
	Suggest(ctx context.Context, id string) ([]string, error)
	Reload(ctx context.Context) error
}

// Store has no wrapper either, and is no service.
type Store interface {
	Load(ctx context.Context, id string) (string, error)
	Save(ctx context.Context, id, text string) error
}

type service struct { // want service:"Service: 0 of 4 methods instrumented"
	store Store
}

func NewService(store Store) Service { // want NewService:"Service: 0 of 4 methods instrumented"
	return &service{store: store}
}

func (s *service) List(ctx context.Context) ([]string, error) {
	_, err := s.store.Load(ctx, "")
	return nil, err
}
func (s *service) Get(ctx context.Context, id string) (string, error) { return s.store.Load(ctx, id) }
func (s *service) Put(ctx context.Context, id, text string) error     { return s.store.Save(ctx, id, text) }
func (s *service) Delete(ctx context.Context, id string) error        { return s.store.Save(ctx, id, "") }
func (s *service) Close(ctx context.Context) error                    { return nil }

// traced embeds the service, so that Delete, which came later, has no span.
type traced struct { // want traced:"3 of 4" `Service: 3 of 4 methods instrumented by traced; not Delete`
	Service
}

func TraceService(next Service) Service { // want TraceService:"Service: 3 of 4 methods instrumented"
	return &traced{next}
}

func (t *traced) List(ctx context.Context) ([]string, error) {
	ctx, span := tracer.Start(ctx, "Service.List")
	defer span.End()
	return t.Service.List(ctx)
}

func (t *traced) Get(ctx context.Context, id string) (string, error) {
	ctx, span := tracer.Start(ctx, "Service.Get")
	defer span.End()
	return t.Service.Get(ctx, id)
}

func (t *traced) Put(ctx context.Context, id, text string) error {
	ctx, span := tracer.Start(ctx, "Service.Put")
	defer span.End()
	return t.Service.Put(ctx, id, text)
}

type suggestions struct { // want suggestions:"SuggestionService: 0 of 2"
	load func(context.Context) error
}

func NewSuggestions(load func(context.Context) error) SuggestionService { // want NewSuggestions:"SuggestionService: 0 of 2"
	return &suggestions{load}
}

func (s *suggestions) Suggest(ctx context.Context, id string) ([]string, error) {
	return nil, s.load(ctx)
}
func (s *suggestions) Reload(ctx context.Context) error { return s.load(ctx) }

type memory struct{ get func(string) string } // want memory:"Store: 0 of 2"

func NewMemory() Store { return &memory{} } // want NewMemory:"Store: 0 of 2"

func (m *memory) Load(ctx context.Context, id string) (string, error) { return m.get(id), nil }
func (m *memory) Save(ctx context.Context, id, text string) error     { m.get(id); return nil }

type NoteService interface {
	Read(ctx context.Context) error
	Write(ctx context.Context) error
}

// Notes starts its spans itself.
type Notes struct { // want Notes:"NoteService: 2 of 2 methods instrumented"
	run func(context.Context) error
}

func (n *Notes) Read(ctx context.Context) error {
	ctx, span := Begin(ctx, "read")
	defer span.End()
	return n.run(ctx)
}

func (n *Notes) Write(ctx context.Context) error {
	ctx, span := Begin(ctx, "write")
	defer span.End()
	return n.run(ctx)
}

func Begin(ctx context.Context, name string) (context.Context, trace.Span) {
	return tracer.Start(ctx, name)
}
