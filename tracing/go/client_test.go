package tracing_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	tracing "github.com/throughline/throughline/tracing/go"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// upstream is what the client tests call.
func upstream(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		var code int
		_, _ = fmt.Sscan(r.PathValue("code"), &code)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "body")
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok/1", http.StatusFound) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "part")
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line)
		_ = rw.Flush()
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv
}

// TestClientGolden holds the stable HTTP conventions of the client span.
func TestClientGolden(t *testing.T) {
	srv := upstream(t)
	call := func(method, path, template string, header ...string) func(context.Context, *http.Client) {
		return func(ctx context.Context, c *http.Client) {
			if template != "" {
				ctx = tracing.WithURLTemplate(ctx, template)
			}
			req, _ := http.NewRequestWithContext(ctx, method, srv.URL+path, nil)
			for i := 0; i < len(header); i += 2 {
				req.Header.Set(header[i], header[i+1])
			}
			if strings.HasPrefix(path, "/ok") {
				req.URL.User = url.UserPassword("user", "s3cret")
			}
			if res, err := c.Do(req); err == nil {
				if res.StatusCode != http.StatusSwitchingProtocols {
					_, _ = io.Copy(io.Discard, res.Body)
				}
				res.Body.Close()
			}
		}
	}
	for name, do := range map[string]func(context.Context, *http.Client){
		"200":            call("GET", "/ok/1?q=1&sig=s3cret", "/ok/{id}"),
		"no-template":    call("GET", "/ok/1", ""),
		"head":           call("HEAD", "/ok/1", "/ok/{id}"),
		"304":            call("GET", "/status/304", "/status/{code}"),
		"404":            call("GET", "/status/404", "/status/{code}"),
		"503":            call("POST", "/status/503", "/status/{code}"),
		"redirect":       call("GET", "/redirect", ""),
		"cut":            call("GET", "/cut", "/cut"),
		"unknown-method": call("BREW", "/ok/1", "/ok/{id}"),
		"websocket":      call("GET", "/ws", "/ws", "Connection", "Upgrade", "Upgrade", "echo"),
		"timeout": func(ctx context.Context, c *http.Client) {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			call("GET", "/hang", "/hang")(ctx, c)
		},
		"cancel": func(ctx context.Context, c *http.Client) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(20*time.Millisecond, func() { cancel(errors.New("not interested")) })
			call("GET", "/hang", "/hang")(ctx, c)
		},
		"cancel-while-reading": func(ctx context.Context, c *http.Client) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(20*time.Millisecond, cancel)
			call("GET", "/stream", "/stream")(ctx, c)
		},
		"timeout-while-reading": func(ctx context.Context, c *http.Client) {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			call("GET", "/stream", "/stream")(ctx, c)
		},
		"refused": func(ctx context.Context, c *http.Client) {
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://127.0.0.1:1/x", nil)
			if _, err := c.Do(req); err == nil {
				t.Error("no error")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := tracingtest.Install(t)
			do(t.Context(), &http.Client{Transport: tracing.Transport(nil)})
			if open := r.Open(); len(open) > 0 {
				t.Errorf("spans not ended: %q", open)
			}
			got := r.Tree(tracingtest.WithAttributes(), tracingtest.Mask("server.port"))
			got = strings.ReplaceAll(got, strings.TrimPrefix(srv.URL, "http://"), "upstream")
			tracingtest.Golden(t, filepath.Join("testdata", "client", name+".txt"), got)
		})
	}
}

// TestClientPropagates: the callee gets the client span as its parent, and the caller's request is not touched.
func TestClientPropagates(t *testing.T) {
	r := tracingtest.Install(t)
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("traceparent") }))
	defer srv.Close()
	ctx, parent := r.TracerProvider().Tracer("t").Start(t.Context(), "parent")
	req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
	req.Header = nil
	res, err := (&http.Client{Transport: tracing.Transport(nil)}).Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	parent.End()
	span := r.Find("GET")
	if span.Parent.SpanID() != parent.SpanContext().SpanID() {
		t.Errorf("parent %v", span.Parent)
	}
	if want := fmt.Sprintf("00-%s-%s-01", span.Context.TraceID(), span.Context.SpanID()); got != want {
		t.Errorf("traceparent %q, want %q", got, want)
	}
	if req.Header != nil {
		t.Errorf("the request has headers now: %v", req.Header)
	}
}

// TestClientUnsampled: nothing is recorded, and the decision goes on.
func TestClientUnsampled(t *testing.T) {
	r := tracingtest.Install(t)
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("traceparent") }))
	defer srv.Close()
	ctx := tracing.TraceContext{}.Extract(t.Context(), mapCarrier{"traceparent": remoteUnsampled})
	req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
	res, err := tracing.Transport(nil).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if len(r.Spans()) != 0 || !strings.HasPrefix(got, "00-0af7651916cd43dd8448eb211c80319c-") || !strings.HasSuffix(got, "-00") {
		t.Errorf("%d spans, traceparent %q", len(r.Spans()), got)
	}
}

func TestClientFilter(t *testing.T) {
	r := tracingtest.Install(t)
	srv := upstream(t)
	c := &http.Client{Transport: tracing.Transport(nil, tracing.WithFilter(func(*http.Request) bool { return false }))}
	res, err := c.Get(srv.URL + "/ok/1")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if len(r.Spans()) != 0 {
		t.Errorf("%d spans", len(r.Spans()))
	}
}

// TestClientUpgradeStaysWritable: the body of a 101 is the connection.
func TestClientUpgradeStaysWritable(t *testing.T) {
	tracingtest.Install(t)
	req, _ := http.NewRequestWithContext(t.Context(), "GET", upstream(t).URL+"/ws", nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	res, err := tracing.Transport(nil).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	rw, ok := res.Body.(io.ReadWriter)
	if !ok {
		t.Fatalf("body is a %T", res.Body)
	}
	_, _ = io.WriteString(rw, "hello\n")
	if line, err := bufio.NewReader(rw).ReadString('\n'); line != "hello\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// TestClientSpanEnds: with the body's close, at the time of its end; and without a close when the body is garbage.
func TestClientSpanEnds(t *testing.T) {
	r := tracingtest.Install(t)
	srv := upstream(t)
	c := &http.Client{Transport: tracing.Transport(nil)}
	res, err := c.Get(srv.URL + "/ok/1")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	if len(r.Spans()) != 0 {
		t.Error("the span ended before the close")
	}
	tracing.FailResponse(res, errors.New("not what was asked for"))
	res.Body.Close()
	res.Body.Close()
	tracing.FailResponse(res, errors.New("too late"))
	if s := r.Spans(); len(s) != 1 || s[0].Status.Description != "not what was asked for" {
		t.Errorf("%d spans, status %v", len(s), s[0].Status)
	}
	r.Reset()

	func() {
		res, err := c.Get(srv.URL + "/ok/1")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
	}()
	eventually(t, "the span of a body that is not closed ends", func() bool {
		runtime.GC()
		return len(r.Spans()) == 1
	})
}

// TestFailResponseOnOthers: a response of another transport is left alone.
func TestFailResponseOnOthers(t *testing.T) {
	tracing.FailResponse(&http.Response{Body: http.NoBody}, errors.New("x"))
	tracing.FailResponse(&http.Response{}, errors.New("x"))
}

// TestFail: what makes a span an error, and what error.type says.
func TestFail(t *testing.T) {
	for name, c := range map[string]struct {
		err       error
		code      codes.Code
		errorType string
	}{
		"nil":       {nil, codes.Unset, ""},
		"plain":     {errors.New("x"), codes.Error, "*errors.errorString"},
		"wrapped":   {fmt.Errorf("doing: %w", &url.Error{Op: "Get", Err: io.ErrUnexpectedEOF}), codes.Error, "*url.Error"},
		"typed":     {fmt.Errorf("doing: %w", &tracing.RequestTypeError{}), codes.Error, "*tracing.RequestTypeError"},
		"named":     {fmt.Errorf("doing: %w", namedError{}), codes.Error, "named"},
		"deadline":  {fmt.Errorf("doing: %w", context.DeadlineExceeded), codes.Error, "timeout"},
		"cancelled": {fmt.Errorf("doing: %w", context.Canceled), codes.Unset, ""},
		"joined":    {errors.Join(errors.New("a"), errors.New("b")), codes.Error, "*errors.joinError"},
	} {
		t.Run(name, func(t *testing.T) {
			r := tracingtest.NewRecorder()
			_, span := r.TracerProvider().Tracer("t").Start(t.Context(), "s")
			tracing.Fail(span, c.err)
			span.End()
			s := r.Spans()[0]
			if s.Status.Code != c.code || s.Attribute("error.type").AsString() != c.errorType {
				t.Errorf("status %v, error.type %q", s.Status, s.Attribute("error.type").AsString())
			}
		})
	}
	tracing.Fail(trace.SpanFromContext(t.Context()), errors.New("no span"))
}

type namedError struct{}

func (namedError) Error() string     { return "x" }
func (namedError) ErrorType() string { return "named" }
