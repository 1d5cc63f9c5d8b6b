package articles

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	tracing "github.com/throughline/throughline/tracing/go"
)

// TraceService returns next with an internal span around every method.
func TraceService(next Service) Service {
	return &tracedService{next: next, tracer: otel.Tracer("github.com/throughline/throughline/apps/articles/articles")}
}

type tracedService struct {
	next   Service
	tracer trace.Tracer
}

func (s *tracedService) GetArticles(ctx context.Context, withSuggested bool) (ArticleList, error) {
	ctx, span := s.tracer.Start(ctx, "Service.GetArticles")
	defer span.End()
	list, err := s.next.GetArticles(ctx, withSuggested)
	if span.IsRecording() {
		span.SetAttributes(attribute.Int("articles.count", len(list.Articles)))
		tracing.Fail(span, err)
	}
	return list, err
}

func (s *tracedService) GetArticle(ctx context.Context, id ArticleID, withSuggested bool) (ArticleDetail, error) {
	ctx, span := s.tracer.Start(ctx, "Service.GetArticle")
	defer span.End()
	detail, err := s.next.GetArticle(ctx, id, withSuggested)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("article.id", string(id)))
		if !errors.Is(err, ErrNotFound) {
			tracing.Fail(span, err)
		}
	}
	return detail, err
}
