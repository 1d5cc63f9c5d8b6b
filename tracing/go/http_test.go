package tracing_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	tracing "github.com/throughline/throughline/tracing/go"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

var _ = flag.Bool("update", false, "rewrite the golden files")

const (
	remoteSampled   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	remoteUnsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// serve runs h behind the middleware on a real listener until the test ends.
func serve(t *testing.T, h http.Handler, opts ...tracing.Option) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(tracing.Middleware(h, opts...))
	srv.Config.ErrorLog = nil
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

// waitSpans waits until n spans have ended, because a server span ends after its response was read.
func waitSpans(t *testing.T, r *tracingtest.Recorder, n int) []*tracingtest.Span {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if spans := r.Spans(); len(spans) >= n {
			return spans
		}
	}
	t.Fatalf("%d spans ended, want %d:\n%s", len(r.Spans()), n, r.Tree())
	return nil
}

// TestServerGolden holds the stable HTTP conventions of the server span for every way a request ends.
func TestServerGolden(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "item "+r.PathValue("id"))
	})
	mux.HandleFunc("GET /old/{id}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/items/1", http.StatusMovedPermanently)
	})
	mux.HandleFunc("GET /missing/{id}", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such item", http.StatusNotFound)
	})
	mux.HandleFunc("POST /broken/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	})
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("bad state") })
	mux.HandleFunc("GET /abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	started := make(chan struct{})
	mux.HandleFunc("GET /slow", func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})
	mux.HandleFunc("/any", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
		_ = rw.Flush()
	})

	request := func(method, path string, header ...string) func(*testing.T, *httptest.Server) {
		return func(t *testing.T, srv *httptest.Server) {
			req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(header); i += 2 {
				req.Header.Add(header[i], header[i+1])
			}
			if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		}
	}
	for name, do := range map[string]func(*testing.T, *httptest.Server){
		"200":            request("GET", "/items/a%2Fb?q=1&token=s3cret", "User-Agent", "golden", "X-Forwarded-For", "203.0.113.9, 10.0.0.1"),
		"301":            request("GET", "/old/7"),
		"404":            request("GET", "/missing/7"),
		"404-no-route":   request("GET", "/wp-login.php"),
		"405":            request("DELETE", "/items/1"),
		"500":            request("POST", "/broken/"),
		"panic":          request("GET", "/panic"),
		"abort":          request("GET", "/abort"),
		"head":           request("HEAD", "/items/1"),
		"unknown-method": request("BREW", "/any"),
		"websocket":      request("GET", "/ws", "Connection", "Upgrade", "Upgrade", "websocket"),
		"cancel": func(t *testing.T, srv *httptest.Server) {
			ctx, cancel := context.WithCancel(t.Context())
			req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+"/slow", nil)
			go func() { <-started; cancel() }()
			if _, err := http.DefaultTransport.RoundTrip(req); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want a cancellation", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := tracingtest.Install(t)
			srv := serve(t, mux)
			srv.Config.ErrorLog = quiet()
			do(t, srv)
			waitSpans(t, r, 1)
			got := r.Tree(tracingtest.WithAttributes(), tracingtest.Mask("server.port", "network.peer.port", "exception.stacktrace"))
			tracingtest.Golden(t, filepath.Join("testdata", "server", name+".txt"), got)
		})
	}
}

func TestServerContinuesRemoteParent(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		spans  int
	}{
		"sampled":   {remoteSampled, 1},
		"unsampled": {remoteUnsampled, 0},
		"malformed": {"00-zz", 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := tracingtest.Install(t)
			var seen trace.SpanContext
			h := tracing.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				seen = trace.SpanContextFromContext(r.Context())
			}))
			req := httptest.NewRequest("GET", "/", nil)
			req.Header.Set("traceparent", c.header)
			h.ServeHTTP(httptest.NewRecorder(), req)
			if got := len(r.Spans()); got != c.spans {
				t.Fatalf("%d spans, want %d", got, c.spans)
			}
			continued := seen.TraceID().String() == "0af7651916cd43dd8448eb211c80319c"
			if continued != (name != "malformed") {
				t.Errorf("trace id %s in the handler", seen.TraceID())
			}
			if name == "sampled" {
				if s := r.Spans()[0]; !s.Parent.IsRemote() || s.Parent.SpanID().String() != "b7ad6b7169203331" {
					t.Errorf("parent %v, want the remote one", s.Parent)
				}
			}
		})
	}
}

// copied is the key of a value that a middleware adds.
type copied struct{}

// TestServerRoutes: a route by every means, and never the path.
func TestServerRoutes(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("GET example.com/host/{id}", ok)
	mux.Handle("/sub/", ok)
	mux.Handle("/end/{$}", ok)
	mux.Handle("/alias/{id}/{$}", tracing.Route("/alias/{id}", ok))
	mux.Handle("/none/", tracing.Route("", ok))
	copies := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), copied{}, 1)))
	})
	for _, c := range []struct {
		name, path, want string
		handler          http.Handler
		opts             []tracing.Option
	}{
		{"method and host", "/host/7", "GET /host/{id}", mux, nil},
		{"prefix", "/sub/a/b", "GET /sub/", mux, nil},
		{"end", "/end/", "GET /end/", mux, nil},
		{"set inside", "/alias/7/", "GET /alias/{id}", mux, nil},
		{"set inside a copy", "/alias/7/", "GET /alias/{id}", copies, nil},
		{"none", "/none/x", "GET", mux, nil},
		{"unmatched", "/nope", "GET", mux, nil},
		{"lost in a copy", "/sub/a", "GET", copies, nil},
		{"callback", "/x/7", "GET /x/{}", ok, []tracing.Option{tracing.WithRoute(func(r *http.Request) string {
			return strings.Replace(r.URL.Path, "7", "{}", 1)
		})}},
		{"callback none", "/x/7", "GET", ok, []tracing.Option{tracing.WithRoute(func(*http.Request) string { return "" })}},
		{"middleware inside", "/x/7", "GET /inside", tracing.RouteFunc(func(*http.Request) string { return "/inside" })(ok), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := tracingtest.NewRecorder()
			h := tracing.Middleware(c.handler, append(c.opts, tracing.WithTracerProvider(r.TracerProvider()))...)
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://example.com"+c.path, nil))
			span := r.Spans()[0]
			if span.Name != c.want {
				t.Errorf("name %q, want %q", span.Name, c.want)
			}
			_, route, _ := strings.Cut(c.want, " ")
			if got := span.Attribute("http.route").AsString(); got != route {
				t.Errorf("http.route %q, want %q", got, route)
			}
		})
	}
	tracing.SetRoute(t.Context(), "/outside") // does nothing
}

// TestServerCardinality: a thousand attacker's paths and methods make one name each.
func TestServerCardinality(t *testing.T) {
	r := tracingtest.NewRecorder()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(http.ResponseWriter, *http.Request) {})
	h := tracing.Middleware(mux, tracing.WithTracerProvider(r.TracerProvider()))
	for i := range 500 {
		for _, target := range []string{fmt.Sprintf("/items/%d", i), fmt.Sprintf("/scan%d.php?admin=%d", i, i)} {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", target, nil))
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(fmt.Sprintf("M%d", i), target, nil))
		}
	}
	names := map[string]bool{}
	for _, s := range r.Spans() {
		names[s.Name] = true
	}
	if len(names) != 3 { // GET /items/{id}, GET, HTTP
		t.Fatalf("%d names: %v", len(names), names)
	}
}

func TestServerPanicIsRaisedAgain(t *testing.T) {
	r := tracingtest.Install(t)
	boom := errors.New("boom")
	h := tracing.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(boom) }))
	func() {
		defer func() {
			if v := recover(); v != boom {
				t.Errorf("recovered %v, want the handler's own value", v)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	s := r.Spans()[0]
	if s.Status.Code != codes.Error || len(s.Events) != 1 || s.Attribute("error.type").AsString() != "*errors.errorString" {
		t.Errorf("status %v, events %v, error.type %v", s.Status, s.Events, s.Attribute("error.type"))
	}
	if s.Attribute("http.response.status_code").Type() != attribute.EMPTY {
		t.Error("a status code that was never sent")
	}
}

func TestServerFilter(t *testing.T) {
	r := tracingtest.Install(t)
	h := tracing.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if trace.SpanContextFromContext(r.Context()).IsValid() {
			t.Error("a span in a filtered request")
		}
	}), tracing.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/healthz", nil))
	if n := len(r.Spans()); n != 0 {
		t.Errorf("%d spans", n)
	}
}

// TestServerPublicEndpoint: a stranger's trace is linked, not continued, and neither is his decision.
func TestServerPublicEndpoint(t *testing.T) {
	r := tracingtest.Install(t)
	h := tracing.Middleware(http.NotFoundHandler(), tracing.WithPublicEndpoint(func(r *http.Request) bool {
		return r.Header.Get("X-Internal") == ""
	}))
	for _, internal := range []string{"", "yes"} {
		r.Reset()
		req := httptest.NewRequest("GET", "/", nil)
		req.Header.Set("traceparent", remoteSampled)
		req.Header.Set("X-Internal", internal)
		h.ServeHTTP(httptest.NewRecorder(), req)
		s := r.Spans()[0]
		continued := s.Context.TraceID().String() == "0af7651916cd43dd8448eb211c80319c"
		if continued != (internal == "yes") || len(s.Links) != 1-len(internal)/3 {
			t.Errorf("internal %q: trace %s, parent %v, links %v", internal, s.Context.TraceID(), s.Parent, s.Links)
		}
	}
	r.Reset()
	req := httptest.NewRequest("GET", "/", nil)
	req.Header.Set("traceparent", remoteUnsampled)
	h.ServeHTTP(httptest.NewRecorder(), req)
	if n := len(r.Spans()); n != 1 {
		t.Errorf("%d spans", n)
	}
}

func TestServerTiming(t *testing.T) {
	r := tracingtest.Install(t)
	h := tracing.Middleware(http.NotFoundHandler(), tracing.WithServerTiming())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	sc := r.Spans()[0].Context
	want := fmt.Sprintf("trace;desc=00-%s-%s-%s", sc.TraceID(), sc.SpanID(), sc.TraceFlags())
	if got := w.Header().Get("Server-Timing"); got != want {
		t.Errorf("Server-Timing %q, want %q", got, want)
	}
	w = httptest.NewRecorder()
	tracing.Middleware(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if got := w.Header().Get("Server-Timing"); got != "" {
		t.Errorf("Server-Timing %q without the option", got)
	}
}

// The optional interfaces of response writers, alone, to be put together in every combination.
type (
	bare    struct{ http.ResponseWriter }
	flushes struct{}
	hijacks struct{}
	reads   struct{}
	pushes  struct{}
)

func (flushes) Flush()                                       {}
func (hijacks) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }
func (reads) ReadFrom(r io.Reader) (int64, error)            { return io.Copy(io.Discard, r) }
func (pushes) Push(string, *http.PushOptions) error          { return nil }

// TestServerKeepsOptionalInterfaces: the handler sees exactly what the server's writer can do.
func TestServerKeepsOptionalInterfaces(t *testing.T) {
	b := bare{httptest.NewRecorder()}
	for _, w := range []http.ResponseWriter{
		b,
		struct {
			bare
			flushes
		}{bare: b},
		struct {
			bare
			hijacks
		}{bare: b},
		struct {
			bare
			reads
		}{bare: b},
		struct {
			bare
			pushes
		}{bare: b},
		struct {
			bare
			flushes
			hijacks
		}{bare: b},
		struct {
			bare
			flushes
			reads
		}{bare: b},
		struct {
			bare
			flushes
			pushes
		}{bare: b},
		struct {
			bare
			hijacks
			reads
		}{bare: b},
		struct {
			bare
			hijacks
			pushes
		}{bare: b},
		struct {
			bare
			reads
			pushes
		}{bare: b},
		struct {
			bare
			flushes
			hijacks
			reads
		}{bare: b},
		struct {
			bare
			flushes
			hijacks
			pushes
		}{bare: b},
		struct {
			bare
			flushes
			reads
			pushes
		}{bare: b},
		struct {
			bare
			hijacks
			reads
			pushes
		}{bare: b},
		struct {
			bare
			flushes
			hijacks
			reads
			pushes
		}{bare: b},
	} {
		want := optional(w)
		t.Run(want, func(t *testing.T) {
			tracing.Middleware(http.HandlerFunc(func(got http.ResponseWriter, _ *http.Request) {
				if g := optional(got); g != want {
					t.Errorf("handler sees %q", g)
				}
				if f, ok := got.(http.Flusher); ok {
					f.Flush()
				}
				if r, ok := got.(io.ReaderFrom); ok {
					if n, err := r.ReadFrom(strings.NewReader("12345")); n != 5 || err != nil {
						t.Errorf("read %d bytes, %v", n, err)
					}
				}
				if p, ok := got.(http.Pusher); ok {
					if err := p.Push("/", nil); err != nil {
						t.Error(err)
					}
				}
				if _, err := io.WriteString(got, "x"); err != nil {
					t.Error(err)
				}
				if err := http.NewResponseController(got).Flush(); (err == nil) != strings.Contains(want, "flush") {
					t.Errorf("ResponseController.Flush: %v", err)
				}
			})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		})
	}
}

func optional(w http.ResponseWriter) string {
	var names []string
	if _, ok := w.(http.Flusher); ok {
		names = append(names, "flush")
	}
	if _, ok := w.(http.Hijacker); ok {
		names = append(names, "hijack")
	}
	if _, ok := w.(io.ReaderFrom); ok {
		names = append(names, "readfrom")
	}
	if _, ok := w.(http.Pusher); ok {
		names = append(names, "push")
	}
	return strings.Join(names, "+")
}

// TestServerResponseController: deadlines and full duplex reach the connection through Unwrap.
func TestServerResponseController(t *testing.T) {
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetWriteDeadline(time.Now().Add(time.Minute)), c.EnableFullDuplex(), c.Flush()); err != nil {
			t.Error(err)
		}
	}))
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// TestServerHTTP2: over TLS and HTTP/2 the handler flushes, streams, and the span says so.
func TestServerHTTP2(t *testing.T) {
	r := tracingtest.Install(t)
	srv := httptest.NewUnstartedServer(tracing.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		_, _ = w.Write([]byte("second"))
	})))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if string(body) != "first second" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	s := waitSpans(t, r, 1)[0]
	for key, want := range map[string]string{
		"url.scheme": "https", "network.protocol.version": "2", "http.response.status_code": "200", "http.response.body.size": "12",
	} {
		if got := s.Attribute(key).String(); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}
