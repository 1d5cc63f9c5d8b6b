// Package article holds the faults of the published code of the article: what
// its middleware, endpoints, service and transport do wrong, in shapes of our own.
package article

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var errMissing = errors.New("article missing")

func TracingMiddleware(next http.Handler, tracer trace.Tracer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spanName := fmt.Sprintf("%s %s", r.Method, r.URL.Path)

		otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header)) // want `lostcontext: the context that otel.GetTextMapPropagator\(\).Extract returns is thrown away`

		ctx, span := tracer.Start(r.Context(), spanName) // want `spanname: span name is built from r.URL.Path`
		defer span.End()

		r = r.WithContext(ctx)
		next.ServeHTTP(w, r)
	})
}

type Article struct{ ID, Title string }

// Service is the interface with ctx methods.
type Service interface {
	GetArticles(ctx context.Context) ([]Article, error)
	GetArticle(ctx context.Context, id string) (Article, error)
	GetSuggested(ctx context.Context, id string) ([]Article, error)
	Search(ctx context.Context, text string) ([]Article, error)
}

type service struct { // want `untracedservice: Service: 3 of 4 methods instrumented by service; not Search`
	tracer   trace.Tracer
	client   *http.Client
	host     string
	articles map[string]Article
}

func NewService(host string) Service {
	return &service{
		tracer: otel.Tracer(""), // want `tracername: otel.Tracer makes a tracer without a name`
		client: &http.Client{},  // want `clienttransport: this http.Client sends no trace context`
		host:   host,
	}
}

func (s *service) GetArticles(ctx context.Context) ([]Article, error) {
	_, span := s.tracer.Start(ctx, "get articles") // want `lostcontext: the context of span "get articles" is thrown away, but s.GetSuggested below takes its parent's` `errorstatus: span "get articles" stays unset when an error is returned`
	defer span.End()
	return s.GetSuggested(ctx, "")
}

func (s *service) GetArticle(ctx context.Context, id string) (Article, error) {
	_, span := s.tracer.Start(ctx, "get article "+id) // want `spanname: span name is built from id` `errorstatus: span stays unset when an error is returned`
	defer span.End()
	a, ok := s.articles[id]
	if !ok {
		return Article{}, errMissing
	}
	return a, nil
}

func (s *service) GetSuggested(ctx context.Context, id string) ([]Article, error) {
	ctx, span := s.tracer.Start(ctx, "get suggested") // want `errorstatus: span "get suggested" stays unset when an error is returned \(lines 82, 88, 92, 96\)`
	defer span.End()

	u, err := url.Parse(fmt.Sprintf("%s/suggestions/v1/%s", s.host, id))
	if err != nil {
		return nil, err
	}

	req := &http.Request{Method: http.MethodGet, URL: u} // want `requestcontext: http.Request literal is sent without ctx`
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var ids []string
	if err := json.Unmarshal(body, &ids); err != nil {
		return nil, err
	}
	out := make([]Article, 0, len(ids))
	for _, id := range ids {
		out = append(out, s.articles[id])
	}
	return out, nil
}

func (s *service) Search(ctx context.Context, text string) ([]Article, error) {
	resp, err := http.Get(s.host + "/search?q=" + url.QueryEscape(text)) // want `requestcontext: http.Get sends a request without ctx`
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	req, err := http.NewRequest(http.MethodGet, s.host, nil) // want `requestcontext: http.NewRequest makes a request without ctx`
	if err != nil {
		return nil, err
	}
	_, err = s.client.Do(req)
	return nil, err
}

type endpoint func(ctx context.Context, request any) (any, error)

func makeGetArticleEndpoint(s Service, tracer trace.Tracer) endpoint {
	return func(ctx context.Context, request any) (any, error) {
		ctx, span := tracer.Start(ctx, "get article endpoint") // want `errorstatus: span "get article endpoint" stays unset when an error is returned`
		defer span.End()
		return s.GetArticle(ctx, request.(string))
	}
}

func makeGetArticlesEndpoint(s Service, tracer trace.Tracer) endpoint {
	return func(ctx context.Context, request any) (any, error) {
		spanCtx, span := tracer.Start(ctx, "get articles endpoint") // want `errorstatus: span "get articles endpoint" stays unset`
		defer span.End()
		articles, err := s.GetArticles(spanCtx)
		if err != nil {
			return nil, err
		}
		for i := range articles {
			more, err := s.GetSuggested(ctx, articles[i].ID) // want `parentcontext: s.GetSuggested takes ctx, but the context with span "get articles endpoint" is spanCtx`
			if err != nil {
				return nil, err
			}
			articles = append(articles, more...)
		}
		go s.GetSuggested(spanCtx, "warm up") // want `endedspan: goroutine passes spanCtx to s.GetSuggested, but span "get articles endpoint" ends when the function returns`
		return articles, nil
	}
}

// The request of the article's client gets the context in a second step; that
// is clumsy, but the trace goes on.
func passing(ctx context.Context, client *http.Client, u *url.URL) (*http.Response, error) {
	req := &http.Request{Method: http.MethodGet, URL: u}
	req = req.WithContext(ctx)
	return client.Do(req)
}
