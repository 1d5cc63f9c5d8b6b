// Package wiring forgets the wrappers.
package wiring

import (
	"context"

	"example.com/shop/untracedservice/articles"
	"go.opentelemetry.io/otel"
)

var tracer = otel.Tracer("example.com/shop/untracedservice/wiring")

func Run(ctx context.Context, serve func(articles.Service, articles.SuggestionService) error) error {
	store := articles.NewMemory()
	svc := articles.NewService(store)           // want `Service: 0 of 4 methods instrumented: articles.NewService is never wrapped here by articles.TraceService`
	suggestions := articles.NewSuggestions(nil) // want `SuggestionService: 0 of 2 methods instrumented: articles.NewSuggestions is never wrapped here`
	return serve(svc, suggestions)
}
