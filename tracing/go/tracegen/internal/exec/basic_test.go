package exec

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/basic"
)

// service is a basic.Service whose methods do what the test says.
type service struct {
	err    error
	do     func(context.Context)
	closed bool
}

func (s *service) run(ctx context.Context) {
	if s.do != nil {
		s.do(ctx)
	}
}

func (s *service) GetArticles(ctx context.Context) ([]basic.Article, error) {
	s.run(ctx)
	return make([]basic.Article, 3), s.err
}

func (s *service) GetArticle(ctx context.Context, id basic.ArticleID) (basic.Article, error) {
	s.run(ctx)
	if s.err != nil {
		return basic.Article{}, s.err
	}
	return basic.Article{ID: id, Title: "On " + string(id), Author: &basic.Author{Name: "Ann"}}, nil
}

func (s *service) PutArticle(ctx context.Context, _ *basic.Article) error { s.run(ctx); return s.err }
func (s *service) Ping(ctx context.Context)                               { s.run(ctx) }
func (s *service) Healthy(ctx context.Context) bool                       { s.run(ctx); return true }

func (s *service) Close() error { s.closed = true; return s.err }

func TestBasic(t *testing.T) {
	r := newRecorder(t)
	inner := &service{}
	svc := basic.TraceService(inner, r)

	articles, err := svc.GetArticles(r.ctx)
	if len(articles) != 3 || err != nil {
		t.Errorf("GetArticles returned %v, %v", articles, err)
	}
	r.want(t, "basic", span{Name: "Service.GetArticles", Attrs: map[string]any{"n": int64(3)}})

	article, err := svc.GetArticle(r.ctx, "tea")
	if article.Title != "On tea" || err != nil {
		t.Errorf("GetArticle returned %v, %v", article, err)
	}
	r.want(t, "basic", span{Name: "Service.GetArticle", Attrs: map[string]any{
		"article.id": "tea", "article.title": "On tea", "article.author": "Ann",
	}})

	if err := svc.PutArticle(r.ctx, &basic.Article{ID: "x", Title: "A title of some length"}); err != nil {
		t.Error(err)
	}
	r.want(t, "basic", span{Name: "put article", Kind: trace.SpanKindClient, Attrs: map[string]any{
		"article.id": "x", "article.short": false, "db.system": "memory",
	}})

	// What would be nil is left out.
	if err := svc.PutArticle(r.ctx, nil); err != nil {
		t.Error(err)
	}
	r.want(t, "basic", span{Name: "put article", Kind: trace.SpanKindClient, Attrs: map[string]any{"db.system": "memory"}})

	svc.Ping(r.ctx)
	r.want(t, "basic", span{Name: "Service.Ping", Kind: trace.SpanKindClient})

	if !svc.Healthy(r.ctx) {
		t.Error("Healthy returned false")
	}
	if err := svc.Close(); err != nil || !inner.closed {
		t.Errorf("Close returned %v, closed %v", err, inner.closed)
	}
	r.want(t, "basic")
}

func TestContextIsTheSpans(t *testing.T) {
	r := newRecorder(t)
	inner := &service{}
	svc := basic.TraceService(inner, r)
	var traced, skipped bool
	inner.do = func(ctx context.Context) { traced = r.inSpan(ctx) }
	svc.Ping(r.ctx)
	inner.do = func(ctx context.Context) { skipped = r.inSpan(ctx) }
	svc.Healthy(r.ctx)
	if !traced || skipped {
		t.Errorf("in a span of its own: traced method %v, skipped method %v", traced, skipped)
	}
}

type codedError struct{}

func (codedError) Error() string     { return "coded" }
func (codedError) ErrorType() string { return "E42" }

type nilError struct{ msg string }

func (e *nilError) Error() string { return e.msg }

func TestErrors(t *testing.T) {
	errDisk := errors.New("disk full")
	for _, tt := range []struct {
		err  error
		call func(basic.Service, context.Context) error
		want span
	}{
		{errDisk, getArticles, span{Status: codes.Error, Desc: "disk full", Attrs: map[string]any{"error.type": "*errors.errorString"}}},
		{
			fmt.Errorf("storing: %w", codedError{}), getArticles,
			span{Status: codes.Error, Desc: "storing: coded", Attrs: map[string]any{"error.type": "E42"}},
		},
		{
			fmt.Errorf("reading: %w", &basic.LimitError{Limit: 3}), getArticles,
			span{Status: codes.Error, Desc: "reading: more than 3 articles", Attrs: map[string]any{"error.type": "*basic.LimitError"}},
		},
		{
			(*nilError)(nil), getArticles,
			span{Status: codes.Error, Desc: "<nil>", Attrs: map[string]any{"error.type": "*exec.nilError"}},
		},
		{errDisk, getArticle, span{Status: codes.Error, Desc: "disk full", Attrs: map[string]any{"error.type": "*errors.errorString", "article.id": "x"}}},
		{fmt.Errorf("x: %w", basic.ErrNotFound), getArticle, span{Attrs: map[string]any{"article.id": "x"}}},
		{fmt.Errorf("x: %w", context.Canceled), getArticles, span{}}, // no failure, though nobody said so
		{context.Canceled, putArticle, span{Attrs: map[string]any{"db.system": "memory"}}},
		{&basic.LimitError{}, putArticle, span{Attrs: map[string]any{"db.system": "memory"}}},
		{
			context.DeadlineExceeded, putArticle,
			span{Status: codes.Error, Desc: "context deadline exceeded", Attrs: map[string]any{
				"error.type": "context.deadlineExceededError", "db.system": "memory",
			}},
		},
	} {
		r := newRecorder(t)
		svc := basic.TraceService(&service{err: tt.err}, r)
		if err := tt.call(svc, r.ctx); err != tt.err {
			t.Errorf("returned %v, want %v", err, tt.err)
		}
		got := r.take()
		if len(got) != 1 {
			t.Fatalf("%v: %d spans", tt.err, len(got))
		}
		tt.want.Name, tt.want.Kind = got[0].Name, got[0].Kind
		if want, have := fmt.Sprint(tt.want.Status, tt.want.Desc, tt.want.Attrs), fmt.Sprint(got[0].Status, got[0].Desc, got[0].Attrs); want != have {
			t.Errorf("%v on %s: got %s, want %s", tt.err, got[0].Name, have, want)
		}
		if len(got[0].Events) != 0 {
			t.Errorf("%v: events %v", tt.err, got[0].Events)
		}
	}
}

func getArticles(s basic.Service, ctx context.Context) error {
	_, err := s.GetArticles(ctx)
	return err
}

func getArticle(s basic.Service, ctx context.Context) error {
	_, err := s.GetArticle(ctx, "x")
	return err
}
func putArticle(s basic.Service, ctx context.Context) error { return s.PutArticle(ctx, nil) }

func TestPanic(t *testing.T) {
	r := newRecorder(t)
	svc := basic.TraceService(&service{do: func(context.Context) { panicHere() }}, r)
	func() {
		defer func() {
			if v := recover(); v != "boom" {
				t.Errorf("recovered %v", v)
			}
			// Nobody recovered on the way: the frames below are still there.
			if stack := string(stack()); !strings.Contains(stack, "exec.panicHere") {
				t.Errorf("the stack has lost where the panic was:\n%s", stack)
			}
		}()
		svc.GetArticles(r.ctx)
	}()
	r.want(t, "basic", span{
		Name: "Service.GetArticles", Status: codes.Error, Desc: "panic", Attrs: map[string]any{"error.type": "panic"},
	})

	done := make(chan struct{})
	go func() {
		defer close(done)
		basic.TraceService(&service{do: func(context.Context) { runtime.Goexit() }}, r).Ping(r.ctx)
	}()
	<-done
	r.want(t, "basic", span{
		Name: "Service.Ping", Kind: trace.SpanKindClient, Status: codes.Error, Desc: "panic", Attrs: map[string]any{"error.type": "panic"},
	})
}

func panicHere() { panic("boom") }

func stack() []byte {
	buf := make([]byte, 1<<16)
	return buf[:runtime.Stack(buf, false)]
}

func TestDisabledReturnsInner(t *testing.T) {
	inner := &service{}
	shutDown := sdktrace.NewTracerProvider()
	shutDown.Shutdown(context.Background())
	pointer := noop.NewTracerProvider()
	for name, provider := range map[string]trace.TracerProvider{
		"nil":             nil,
		"no-op":           noop.NewTracerProvider(),
		"pointer to noop": &pointer,
		"shut down":       shutDown,
	} {
		if got := basic.TraceService(inner, provider); got != basic.Service(inner) {
			t.Errorf("%s: got %T", name, got)
		}
	}
	if got := basic.TraceService(nil, newRecorder(t)); got != nil {
		t.Errorf("wrapping nil gives %T", got)
	}
	// The global provider may be set later: it is not off.
	if got := basic.TraceService(inner, otel.GetTracerProvider()); got == basic.Service(inner) {
		t.Error("the global provider counts as off")
	}
}

// TestUnsampled checks that attributes cost nothing where nobody records them.
func TestUnsampled(t *testing.T) {
	r := newRecorder(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	svc := basic.TraceService(&service{err: countedError{t}}, r)
	if _, err := svc.GetArticles(r.ctx); err == nil {
		t.Error("no error")
	}
	if got := r.take(); got != nil {
		t.Errorf("recorded %v", got)
	}
}

// countedError must not be asked for its text.
type countedError struct{ t *testing.T }

func (e countedError) Error() string {
	e.t.Error("the text of an error was made for nobody")
	return ""
}
