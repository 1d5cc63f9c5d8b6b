package client

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// serve starts a server of one handler.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return s.URL
}

// open is a client whose connections end with the test.
func open(t *testing.T, o Options) (Client, error) {
	t.Helper()
	if o.Transport == nil {
		transport := &http.Transport{TLSClientConfig: o.TLS}
		t.Cleanup(transport.CloseIdleConnections)
		o.Transport = transport
	}
	return Open(t.Context(), o)
}

func TestDetect(t *testing.T) {
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>UI</title>")
	}
	answers := func(all map[string]string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			text, ok := all[r.URL.Path]
			if !ok {
				page(w, r) // as the UIs do
				return
			}
			io.WriteString(w, text)
		}
	}
	for name, c := range map[string]struct {
		answers http.HandlerFunc
		root    string
		kind    Kind
		err     string
	}{
		"throughline":       {answers: answers(map[string]string{"/api/native/v1/status": `{"version":"1","receivers":[]}`, "/tempo/api/echo": "echo", "/api/v3/services": `{"services":[]}`}), kind: KindThroughline},
		"below a path":      {answers: answers(map[string]string{"/tracing/api/native/v1/status": `{"version":"1","receivers":[]}`}), root: "/tracing/", kind: KindThroughline},
		"its Tempo API":     {answers: answers(map[string]string{"/api/native/v1/status": `{"version":"1","receivers":[]}`, "/tempo/api/echo": "echo"}), root: "/tempo", kind: KindTempo},
		"tempo":             {answers: answers(map[string]string{"/api/echo": "echo"}), kind: KindTempo},
		"jaeger":            {answers: answers(map[string]string{"/api/v3/services": `{"services":[]}`}), kind: KindJaeger},
		"a page everywhere": {answers: page, err: "neither a Throughline nor a Tempo nor a Jaeger server"},
		"an empty answer":   {answers: func(http.ResponseWriter, *http.Request) {}, err: "neither"},
		"unauthorized": {
			answers: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you?", http.StatusUnauthorized) },
			err:     "401 Unauthorized: who are you?",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cl, err := open(t, Options{URL: serve(t, c.answers) + c.root})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %s", err, c.err)
				}
				return
			}
			if err != nil || cl.Kind() != c.kind {
				t.Errorf("got %v, %v; want %s", cl, err, c.kind)
			}
		})
	}
	if _, err := open(t, Options{URL: "http://127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), "asking 127.0.0.1:1: ") {
		t.Errorf("nobody listens: %v", err)
	}
	for _, url := range []string{"", "localhost:16686", "127.0.0.1:3200", "ftp://x", "http://", "http://x/?q=1", "http://[::1", "://"} {
		if _, err := open(t, Options{URL: url, Kind: KindTempo}); !errors.Is(err, ErrURL) {
			t.Errorf("URL %q: %v", url, err)
		}
	}
}

func TestRequests(t *testing.T) {
	var got *http.Request
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, `{"services":["a"]}`)
		z.Close()
	})
	c, err := open(t, Options{URL: url, Kind: KindJaeger, Token: "secret", Header: http.Header{"X-Scope-Orgid": {"tenant"}, "Host": {"named.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	services, err := c.Services(t.Context())
	if err != nil || len(services) != 1 || services[0].Name != "a" {
		t.Errorf("a gzip answer: %v, %v", services, err)
	}
	if got.Header.Get("Authorization") != "Bearer secret" || got.Header.Get("X-Scope-Orgid") != "tenant" || got.Host != "named.example" || got.Header.Get("Accept-Encoding") != "gzip" {
		t.Errorf("sent %q for %s", got.Header, got.Host)
	}
	c, err = open(t, Options{URL: strings.Replace(url, "http://", "http://ann:pass@", 1), Kind: KindJaeger})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Services(t.Context()); err != nil {
		t.Error(err)
	}
	if user, password, _ := got.BasicAuth(); user != "ann" || password != "pass" {
		t.Errorf("basic authentication: %s %s", user, password)
	}
}

// A redirect to another server is not followed: it would be sent the headers.
func TestRedirects(t *testing.T) {
	asked := false
	other := serve(t, func(http.ResponseWriter, *http.Request) { asked = true })
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other+r.URL.Path, http.StatusFound) })
	c, err := open(t, Options{URL: url, Kind: KindJaeger, Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Services(t.Context()); err == nil || !strings.Contains(err.Error(), "redirects to another server") || asked {
		t.Errorf("got %v, asked %t", err, asked)
	}
}

func TestBadAnswers(t *testing.T) {
	ctx := t.Context()
	id := span.TraceID{1}
	all := map[string]func(Client) error{
		"search":     func(c Client) error { _, err := c.Search(ctx, Query{}); return err },
		"traceql":    func(c Client) error { _, err := c.Search(ctx, Query{TraceQL: `{ name = "x" }`}); return err },
		"trace":      func(c Client) error { _, err := c.Trace(ctx, id); return err },
		"services":   func(c Client) error { _, err := c.Services(ctx); return err },
		"operations": func(c Client) error { _, err := c.Operations(ctx, "a"); return err },
		"metrics":    func(c Client) error { _, err := c.Metrics(ctx, MetricsQuery{TraceQL: "{} | rate()"}); return err },
	}
	for name, body := range map[string]string{
		"garbage": "\xff\x00\x0a{[", "html": "<html>", "list": "[1,2]", "number": "17", "cut": `{"services":["a`, "empty": "",
		"ids":   `{"traces":[{"traceID":"xyz"}],"summaries":[{"traceId":"xyz"}],"services":[{}],"result":{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"q"}]}]}]}}`,
		"large": strings.Repeat(" ", 2000) + `{}`,
		"types": `{"traces":{},"services":3,"operations":"x","tagValues":7,"series":[{"samples":[{"timestampMs":"x"}]}],"summaries":{},"result":[]}`,
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		for _, kind := range []Kind{KindThroughline, KindTempo, KindJaeger} {
			c, err := open(t, Options{URL: url, Kind: kind, MaxBytes: 1000})
			if err != nil {
				t.Fatal(err)
			}
			for question, do := range all {
				err := do(c)
				// What is not in an answer is an empty list.
				if mayBeEmpty := name == "ids" && question != "search" && question != "trace"; err == nil && !mayBeEmpty {
					t.Errorf("%s of %s, answered with %s: no error", question, kind, name)
				}
				if name == "large" && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrUnsupported) {
					t.Errorf("%s of %s, answered with %s: %v", question, kind, name, err)
				}
			}
		}
	}
}

func TestTimeout(t *testing.T) {
	done := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done():
		}
	})
	defer close(done)
	c, err := open(t, Options{URL: url, Kind: KindTempo, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Search(t.Context(), Query{}); err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Search(ctx, Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestErrorMessages(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"code":"invalid_argument","message":"bad"}}`: "400 Bad Request: bad",
		`{"error":{"httpCode":400,"message":"worse"}}`:          "400 Bad Request: worse",
		`{"data":null,"errors":[{"code":400,"msg":"unable"}]}`:  "400 Bad Request: unable",
		`parse error at line 1, col 3: syntax error`:            "400 Bad Request: parse error at line 1, col 3: syntax error",
		`{"message":"plain"}`:                                   `400 Bad Request: {"message":"plain"}`,
		``:                                                      "answered 400 Bad Request",
		strings.Repeat("long ", 1000):                           "long long",
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, body)
		})
		c, err := open(t, Options{URL: url, Kind: KindTempo})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Search(t.Context(), Query{})
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 1300 {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"traces":[{"traceID":"1","spanSets":[{"spans":[{"spanID":"2"}]}]}]}`))
	f.Add([]byte("\x0a\x02\x0a\x00"))
	f.Add([]byte(`{"series":[{"labels":[{"key":"a","value":{"intValue":"1"}}],"samples":[{"timestampMs":"1","value":2}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		transport := fixed(body)
		for _, kind := range []Kind{KindThroughline, KindTempo, KindJaeger} {
			c, err := Open(t.Context(), Options{URL: "http://x", Kind: kind, Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			if found, err := c.Search(t.Context(), Query{}); err == nil {
				for i := range found.Traces {
					_ = found.Traces[i].Duration()
				}
			}
			if trace, err := c.Trace(t.Context(), span.TraceID{15: 1}); err == nil {
				Summarize(trace)
			}
			_, _ = c.Services(t.Context())
			_, _ = c.Metrics(t.Context(), MetricsQuery{TraceQL: "{} | rate()"})
		}
	})
}

// fixed answers every request with the same body.
type fixed []byte

func (b fixed) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(b))), Request: r}, nil
}

// A lazy client finds a server that came after it.
func TestLazy(t *testing.T) {
	up := false
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !up {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, `{"services":[]}`)
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	l := &Lazy{Options: Options{URL: url, Transport: transport}}
	if _, err := l.Services(t.Context()); err == nil || l.Kind() != "" {
		t.Errorf("%v, kind %q", err, l.Kind())
	}
	up = true
	if _, err := l.Services(t.Context()); err != nil || l.Kind() != KindJaeger {
		t.Errorf("%v, kind %q", err, l.Kind())
	}
	if _, err := l.Metrics(t.Context(), MetricsQuery{}); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}
