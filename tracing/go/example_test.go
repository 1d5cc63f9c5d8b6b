package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	tracing "github.com/throughline/throughline/tracing/go"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// record gives the examples a provider whose spans they print.
func record() (*tracingtest.Recorder, tracing.Option) {
	r := tracingtest.NewRecorder()
	return r, tracing.WithTracerProvider(r.TracerProvider())
}

func request(h http.Handler, method, target string) {
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, target, nil))
}

func ok(http.ResponseWriter, *http.Request) {}

// A service starts tracing before it serves, and flushes after it has drained its requests.
func ExampleStart() {
	os.Setenv("OTEL_TRACES_EXPORTER", "none") // the example has no backend
	defer os.Unsetenv("OTEL_TRACES_EXPORTER")
	ctx := context.Background()
	shutdown, err := tracing.Start(ctx, tracing.Config{ServiceName: "articles-service", ServiceVersion: "1.2.3"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("serving")
	fmt.Println("stopped:", shutdown(ctx))
	// Output:
	// serving
	// stopped: <nil>
}

func ExampleNew() {
	os.Setenv("OTEL_TRACES_EXPORTER", "none")
	defer os.Unsetenv("OTEL_TRACES_EXPORTER")
	ctx := context.Background()
	p, err := tracing.New(ctx, tracing.Config{ServiceName: "articles-service"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Shutdown(ctx)
	_, span := p.TracerProvider().Tracer("example").Start(ctx, "work")
	span.End()
	fmt.Println(span.SpanContext().IsSampled(), p.ForceFlush(ctx), len(p.Propagator().Fields()))
	// Output: true <nil> 3
}

func ExampleValidate() {
	fmt.Println(tracing.Validate(tracing.Config{BackendURL: "https://otlp.example.com;bearer=s3cret,ftp://example.com"}))
	// Output: reading TRACING_BACKEND_URL: backend "ftp://example.com": scheme "ftp" is not http or https
}

func ExampleCheckEnvironment() {
	os.Setenv("OTEL_TRACES_SAMPLER", "sometimes")
	defer os.Unsetenv("OTEL_TRACES_SAMPLER")
	err := tracing.CheckEnvironment()
	fmt.Println(strings.Contains(err.Error(), `OTEL_TRACES_SAMPLER "sometimes"`))
	// Output: true
}

func ExampleProvider_Stats() {
	backend := httptest.NewServer(http.HandlerFunc(ok))
	defer backend.Close()
	ctx := context.Background()
	p, err := tracing.New(ctx, tracing.Config{BackendURL: backend.URL + "/v1/traces"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, span := p.TracerProvider().Tracer("example").Start(ctx, "work")
	span.End()
	_ = p.Shutdown(ctx)
	for _, s := range p.Stats() {
		fmt.Println(s.Exported, s.Dropped, s.Failed, s.Queued)
	}
	// Output: 1 0 0 0
}

func ExampleStats() {
	for _, s := range tracing.Stats() {
		fmt.Printf("%s: %d dropped, %d failed\n", s.Backend, s.Dropped, s.Failed)
	}
}

func ExampleMiddleware() {
	r, provider := record()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /articles/{id}", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) })
	h := tracing.Middleware(mux, provider)
	request(h, "GET", "/articles/7")
	request(h, "GET", "/wp-login.php")
	fmt.Print(r.Tree(tracingtest.WithAttributes("http.response.status_code")))
	// Output:
	// server GET /articles/{id}
	//     http.response.status_code=404
	// server GET
	//     http.response.status_code=404
}

func ExampleRoute() {
	r, provider := record()
	mux := http.NewServeMux()
	article := tracing.Route("/articles/{id}", http.HandlerFunc(ok))
	mux.Handle("/articles/{id}", article)
	mux.Handle("/articles/{id}/{$}", article)
	h := tracing.Middleware(mux, provider)
	request(h, "GET", "/articles/7")
	request(h, "GET", "/articles/7/")
	fmt.Print(r.Tree())
	// Output:
	// server GET /articles/{id}
	// server GET /articles/{id}
}

func ExampleRouteFunc() {
	r, provider := record()
	// A router that knows its routes only inside puts this among its middlewares.
	inside := tracing.RouteFunc(func(*http.Request) string { return "/articles/{id}" })
	request(tracing.Middleware(inside(http.HandlerFunc(ok)), provider), "GET", "/articles/7")
	fmt.Print(r.Tree())
	// Output: server GET /articles/{id}
}

func ExampleSetRoute() {
	r, provider := record()
	h := tracing.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		tracing.SetRoute(r.Context(), "/files/{path...}")
	}), provider)
	request(h, "PUT", "/files/a/b/c")
	fmt.Print(r.Tree())
	// Output: server PUT /files/{path...}
}

func ExampleSetError() {
	r, provider := record()
	h := tracing.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tracing.SetError(r.Context(), errors.New("disk full"))
		w.WriteHeader(http.StatusInternalServerError)
	}), provider)
	request(h, "POST", "/")
	fmt.Print(r.Tree())
	// Output: server POST error: disk full
}

func ExampleWithRoute() {
	r, provider := record()
	route := tracing.WithRoute(func(r *http.Request) string { return "/" + strings.Split(r.URL.Path, "/")[1] + "/{id}" })
	request(tracing.Middleware(http.HandlerFunc(ok), provider, route), "GET", "/articles/7")
	fmt.Print(r.Tree())
	// Output: server GET /articles/{id}
}

func ExampleWithFilter() {
	r, provider := record()
	health := tracing.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" })
	h := tracing.Middleware(http.HandlerFunc(ok), provider, health)
	request(h, "GET", "/healthz")
	request(h, "GET", "/other")
	fmt.Print(r.Tree(tracingtest.WithAttributes("url.path")))
	// Output:
	// server GET
	//     url.path=/other
}

func ExampleWithPublicEndpoint() {
	r, provider := record()
	public := tracing.WithPublicEndpoint(func(*http.Request) bool { return true })
	h := tracing.Middleware(http.HandlerFunc(ok), provider, public, tracing.WithPropagator(tracing.TraceContext{}))
	req := httptest.NewRequest("GET", "/", nil)
	req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	h.ServeHTTP(httptest.NewRecorder(), req)
	span := r.Spans()[0]
	fmt.Println(span.Context.TraceID(), "linked to", span.Links[0].SpanContext.TraceID())
	// Output: 00000000000000000000000000000001 linked to 0af7651916cd43dd8448eb211c80319c
}

func ExampleWithServerTiming() {
	_, provider := record()
	w := httptest.NewRecorder()
	tracing.Middleware(http.HandlerFunc(ok), provider, tracing.WithServerTiming()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Header().Get("Server-Timing"))
	// Output: trace;desc=00-00000000000000000000000000000001-0000000000000001-01
}

func ExampleTransport() {
	r, provider := record()
	upstream := httptest.NewServer(http.NotFoundHandler())
	defer upstream.Close()
	client := &http.Client{Transport: tracing.Transport(http.DefaultTransport, provider)}
	ctx := tracing.WithURLTemplate(context.Background(), "/suggestions/{id}")
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, upstream.URL+"/suggestions/7", nil)
	res, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	res.Body.Close()
	fmt.Print(r.Tree(tracingtest.WithAttributes("error.type", "url.template")))
	// Output:
	// client GET /suggestions/{id} error
	//     error.type=404
	//     url.template=/suggestions/{id}
}

func ExampleWithURLTemplate() {
	ctx := tracing.WithURLTemplate(context.Background(), "/suggestions/{id}")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://suggestions/suggestions/7", nil)
	fmt.Println(req.URL.Path, err)
	// Output: /suggestions/7 <nil>
}

func ExampleFailResponse() {
	r, provider := record()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
	defer upstream.Close()
	res, err := (&http.Client{Transport: tracing.Transport(nil, provider)}).Get(upstream.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	if body, _ := io.ReadAll(res.Body); body[0] != '[' {
		tracing.FailResponse(res, errors.New("response is no list"))
	}
	res.Body.Close()
	fmt.Print(r.Tree())
	// Output: client GET error: response is no list
}

type article struct{ id, title string }

var errUnknown = errors.New("unknown article")

func getArticle(_ context.Context, id string) (article, error) {
	if id != "7" {
		return article{}, errUnknown
	}
	return article{id, "Seven"}, nil
}

func ExampleEndpoint() {
	r, provider := record()
	endpoint := tracing.Endpoint("get article endpoint", getArticle, provider,
		tracing.WithRequestAttributes(func(id string) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("article.id", id)}
		}))
	a, err := endpoint(context.Background(), "7")
	fmt.Println(a.title, err)
	_, err = endpoint(context.Background(), "8")
	fmt.Println(err)
	fmt.Print(r.Tree(tracingtest.WithAttributes("article.id")))
	// Output:
	// Seven <nil>
	// unknown article
	// internal get article endpoint
	//     article.id=7
	// internal get article endpoint error: unknown article
	//     article.id=8
}

func ExampleWithExpected() {
	r, provider := record()
	expected := tracing.WithExpected(func(err error) bool { return errors.Is(err, errUnknown) })
	_, err := tracing.Endpoint("get article endpoint", getArticle, provider, expected)(context.Background(), "8")
	fmt.Println(err)
	fmt.Print(r.Tree())
	// Output:
	// unknown article
	// internal get article endpoint
}

func ExampleWithResponseAttributes() {
	r, provider := record()
	titles := tracing.WithResponseAttributes(func(a article) []attribute.KeyValue {
		return []attribute.KeyValue{attribute.Int("title.length", len(a.title))}
	})
	_, _ = tracing.Endpoint("get article endpoint", getArticle, provider, titles)(context.Background(), "7")
	fmt.Print(r.Tree(tracingtest.WithAttributes()))
	// Output:
	// internal get article endpoint
	//     title.length=5
}

// With Go kit, E is endpoint.Endpoint.
func ExampleEndpointMiddleware() {
	type Endpoint func(ctx context.Context, request any) (response any, err error)
	r, provider := record()
	middleware := tracing.EndpointMiddleware[Endpoint]("get article endpoint", provider)
	endpoint := middleware(tracing.Untyped(getArticle))
	response, err := endpoint(context.Background(), "7")
	fmt.Println(response.(article).title, err)
	fmt.Print(r.Tree())
	// Output:
	// Seven <nil>
	// internal get article endpoint
}

func ExampleUntyped() {
	endpoint := tracing.Untyped(getArticle)
	_, err := endpoint(context.Background(), 7)
	var typeError *tracing.RequestTypeError
	fmt.Println(err, errors.As(err, &typeError))
	// Output: endpoint request is a int, want string true
}

func ExampleDecoder() {
	r, provider := record()
	decode := tracing.Decoder("request decoder", func(_ context.Context, r *http.Request) (any, error) {
		return r.URL.Query().Get("id"), nil
	}, provider)
	id, err := decode(context.Background(), httptest.NewRequest("GET", "/?id=7", nil))
	fmt.Println(id, err)
	fmt.Print(r.Tree())
	// Output:
	// 7 <nil>
	// internal request decoder
}

func ExampleEncoder() {
	r, provider := record()
	encode := tracing.Encoder("response encoder", func(_ context.Context, w http.ResponseWriter, response any) error {
		_, err := fmt.Fprint(w, response)
		return err
	}, provider)
	w := httptest.NewRecorder()
	fmt.Println(encode(context.Background(), w, "seven"), w.Body)
	fmt.Print(r.Tree())
	// Output:
	// <nil> seven
	// internal response encoder
}

func ExampleServerHooks() {
	r, provider := record()
	hooks := tracing.NewServerHooks("/articles/{id}", provider, tracing.WithServerTiming())
	// Go kit's server calls them in this order.
	req, w := httptest.NewRequest("GET", "/articles/7", nil), httptest.NewRecorder()
	ctx := hooks.Before(req.Context(), req)
	ctx = hooks.After(ctx, w)
	hooks.Finalizer(ctx, http.StatusOK, req)
	fmt.Print(r.Tree())
	fmt.Println(w.Header().Get("Server-Timing") != "")
	// Output:
	// server GET /articles/{id}
	// true
}

func ExampleErrorHandler() {
	r, provider := record()
	handler := tracing.NewErrorHandler(nil) // kithttp.ServerErrorHandler(handler)
	h := tracing.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.Handle(r.Context(), errors.New("disk full"))
		w.WriteHeader(http.StatusInternalServerError)
	}), provider)
	request(h, "GET", "/")
	fmt.Print(r.Tree())
	// Output: server GET error: disk full
}

func ExampleFail() {
	r, _ := record()
	_, span := r.TracerProvider().Tracer("example").Start(context.Background(), "work")
	tracing.Fail(span, fmt.Errorf("working: %w", context.DeadlineExceeded))
	span.End()
	fmt.Print(r.Tree(tracingtest.WithAttributes()))
	// Output:
	// internal work error: working: context deadline exceeded
	//     error.type=timeout
}

func ExampleNewLogHandler() {
	r, _ := record()
	var log bytes.Buffer
	logger := slog.New(tracing.NewLogHandler(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: noTime})))
	ctx, span := r.TracerProvider().Tracer("example").Start(context.Background(), "work")
	logger.InfoContext(ctx, "working")
	span.End()
	fmt.Print(log.String())
	// Output: msg=working trace_id=00000000000000000000000000000001 span_id=0000000000000001 trace_flags=01
}

func ExampleTraceContext() {
	in := http.Header{}
	in.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	in.Add("tracestate", "vendor@=1")
	in.Add("tracestate", "9other=2")
	ctx := tracing.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(in))
	fmt.Println(trace.SpanContextFromContext(ctx).SpanID())
	out := http.Header{}
	tracing.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(out))
	fmt.Println(out.Get("tracestate"))
	// Output:
	// b7ad6b7169203331
	// vendor@=1,9other=2
}
