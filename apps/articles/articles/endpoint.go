package articles

import (
	"context"
	"time"

	"github.com/go-kit/kit/endpoint"

	tracing "github.com/throughline/throughline/tracing/go"
)

// getArticlesRequest asks for all articles.
type getArticlesRequest struct{ withSuggested bool }

// getArticleRequest asks for one article.
type getArticleRequest struct {
	id            ArticleID
	withSuggested bool
}

// Endpoints are the service's methods as Go kit sees them.
type Endpoints struct {
	GetArticles endpoint.Endpoint
	GetArticle  endpoint.Endpoint
}

// MakeEndpoints returns the traced endpoints of s. A request ends after timeout.
func MakeEndpoints(s Service, timeout time.Duration) Endpoints {
	answers := tracing.WithExpected(expected)
	within := deadline(timeout)
	return Endpoints{
		GetArticles: within(tracing.Untyped(tracing.Endpoint("get articles endpoint",
			func(ctx context.Context, r getArticlesRequest) (ArticleList, error) {
				return s.GetArticles(ctx, r.withSuggested)
			}, answers))),
		GetArticle: within(tracing.Untyped(tracing.Endpoint("get article endpoint",
			func(ctx context.Context, r getArticleRequest) (ArticleDetail, error) {
				return s.GetArticle(ctx, r.id, r.withSuggested)
			}, answers))),
	}
}

// deadline bounds the time of a request.
func deadline(timeout time.Duration) endpoint.Middleware {
	return func(next endpoint.Endpoint) endpoint.Endpoint {
		return func(ctx context.Context, request any) (any, error) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			return next(ctx, request)
		}
	}
}
