package articles_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/throughline/throughline/apps/articles/articles"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// hang answers no request until the caller goes away.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// deadURL is an address where nothing listens.
func deadURL(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "http://" + ln.Addr().String()
}

// TestUpstreamFaults: whatever suggestions does, the articles are returned, the key is absent, a warning counts, and
// the spans of the calls carry the error.
func TestUpstreamFaults(t *testing.T) {
	for name, c := range map[string]struct {
		handler   http.HandlerFunc
		errorType string
	}{
		"dead":          {nil, "syscall.Errno"},
		"hung":          {hang, "timeout"},
		"404":           {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"error":"x"}`, 404) }, "404"},
		"500":           {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "stack trace", 500) }, "500"},
		"redirect":      {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "302"},
		"garbage":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "invalid_response"},
		"object":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"a":1}`) }, "invalid_response"},
		"null":          {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "null") }, "invalid_response"},
		"nulls":         {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[null, null]") }, "invalid_response"},
		"numbers":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[1,2]") }, "invalid_response"},
		"trailing":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]{}") }, "invalid_response"},
		"truncated":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `["00`) }, "invalid_response"},
		"huge":          {huge, "invalid_response"},
		"cut off":       {cutOff, "*errors.errorString"},
		"body too slow": {func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "["); flush(w); hang(w, r) }, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			r := tracingtest.Install(t)
			base := deadURL(t)
			if c.handler != nil {
				base = newSuggestions(t, c.handler).URL
			}
			timeout := time.Minute
			if c.errorType == "timeout" {
				timeout = 50 * time.Millisecond
			}
			api := newAPI(t, base, options{timeout: timeout})
			status, body := get(t, api.URL+"/articles/v1/?with_suggested=1")
			want := `{"articles":[` + article1 + "," + article2 + `],"warnings":["suggestions are unavailable for 2 of 2 articles"]}` + "\n"
			if status != 200 || body != want {
				t.Errorf("status %d, body %s", status, body)
			}
			status, body = get(t, api.URL+"/articles/v1/"+string(testID(1))+"?with_suggested=1")
			want = `{"article":` + article1 + `,"warnings":["suggestions are unavailable for 1 of 1 articles"]}` + "\n"
			if status != 200 || body != want {
				t.Errorf("status %d, body %s", status, body)
			}
			eventually(t, "both requests traced", func() bool { return len(r.Roots()) == 2 && len(r.Open()) == 0 })
			calls := 0
			for _, s := range r.Spans() {
				if s.Name != "GET /suggestions/v1/{id}" {
					continue
				}
				calls++
				if s.Status.Code.String() != "Error" || s.Attribute("error.type").AsString() != c.errorType {
					t.Errorf("call with status %v, error.type %q, want %q", s.Status, s.Attribute("error.type").AsString(), c.errorType)
				}
			}
			if calls != 3 {
				t.Errorf("%d calls, want 3", calls)
			}
		})
	}
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

// huge sends three megabytes of a valid list.
func huge(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "[")
	for range 3 << 20 / 35 {
		if _, err := io.WriteString(w, `"00000000000000000000000000000001",`); err != nil {
			return
		}
	}
	_, _ = io.WriteString(w, `"00000000000000000000000000000001"]`)
}

// cutOff promises more than it sends.
func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, "[")
}

// TestPartialFault: one article in three has no suggestions, and only that one.
func TestPartialFault(t *testing.T) {
	srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "2") {
			http.Error(w, "no", 500)
			return
		}
		suggest(testID(1), "unknown", testID(3))(w, r)
	})
	_, body := get(t, newAPI(t, srv.URL, options{articles: 3}).URL+"/articles/v1/?with_suggested=1")
	if n := strings.Count(body, `"suggested":[`); n != 2 {
		t.Errorf("%d articles with suggestions, want 2: %s", n, body)
	}
	want := `"warnings":["suggestions are unavailable for 1 of 3 articles","2 suggested articles do not exist and were skipped"]`
	if !strings.Contains(body, want) {
		t.Errorf("body %s, want %s", body, want)
	}
}

// TestHungSuggestions: a list of ten is answered in far less than one timeout per round, at every concurrency.
func TestHungSuggestions(t *testing.T) {
	for _, concurrency := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			var calls atomic.Int64
			srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); hang(w, r) })
			api := newAPI(t, srv.URL, options{articles: 10, concurrency: concurrency, timeout: 200 * time.Millisecond})
			start := time.Now()
			status, body := get(t, api.URL+"/articles/v1/?with_suggested=1")
			if status != 200 || !strings.Contains(body, "unavailable for 10 of 10") {
				t.Errorf("status %d, body %s", status, body)
			}
			// Two timeouts at concurrency 1; at the defaults of 2 s that is within 5 s.
			if d := time.Since(start); d > time.Second {
				t.Errorf("took %v", d)
			}
			if n := calls.Load(); n != int64(max(2, concurrency)) {
				t.Errorf("%d calls, want %d", n, max(2, concurrency))
			}
		})
	}
}

// TestSlowSuggestions: the request's own time runs out, yet what was found is returned.
func TestSlowSuggestions(t *testing.T) {
	srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "1") {
			suggest(testID(2))(w, r)
			return
		}
		hang(w, r)
	})
	api := newAPI(t, srv.URL, options{articles: 2, concurrency: 1, request: 300 * time.Millisecond, timeout: time.Minute})
	status, body := get(t, api.URL+"/articles/v1/?with_suggested=1")
	if status != 200 || !strings.Contains(body, "unavailable for 1 of 2") || !strings.Contains(body, `"suggested":[`) {
		t.Errorf("status %d, body %s", status, body)
	}
}

// TestConcurrencyAndOrder: no more calls at a time than allowed, as many as allowed, and results in order.
func TestConcurrencyAndOrder(t *testing.T) {
	const concurrency, n = 3, 12
	var (
		mu       sync.Mutex
		now, top int
	)
	full := make(chan struct{})
	srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now++
		if top = max(top, now); top == concurrency && now == concurrency {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		mu.Unlock()
		<-full // the first calls wait for each other
		var id articles.ArticleID = articles.ArticleID(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
		mu.Lock()
		now--
		mu.Unlock()
		suggest(id)(w, r)
	})
	api := newAPI(t, srv.URL, options{articles: n, concurrency: concurrency})
	_, body := get(t, api.URL+"/articles/v1/?with_suggested=1")
	at := 0
	for i := range n {
		next := strings.Index(body[at:], `"suggested":[{"id":"`+string(testID(i+1)))
		if next < 0 {
			t.Fatalf("article %d has not its own suggestion, in order: %s", i+1, body)
		}
		at += next
	}
	if top != concurrency {
		t.Errorf("%d calls at a time, want %d", top, concurrency)
	}
}

// TestCancellation: the caller goes away, the calls to suggestions end, and no span is an error.
func TestCancellation(t *testing.T) {
	r := tracingtest.Install(t)
	arrived, ended := make(chan struct{}, 2), make(chan struct{}, 2)
	srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		hang(w, r)
		ended <- struct{}{}
	})
	api := newAPI(t, srv.URL, options{timeout: time.Minute, request: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; <-arrived; cancel() }()
	req, _ := http.NewRequestWithContext(ctx, "GET", api.URL+"/articles/v1/?with_suggested=1", nil)
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	<-ended
	<-ended
	eventually(t, "the spans end", func() bool { return len(r.Roots()) == 1 && len(r.Open()) == 0 })
	tracingtest.AssertTree(t, r, `
		server GET /articles/v1/
		  internal request decoder
		  internal get articles endpoint
		    internal Service.GetArticles
		      client GET /suggestions/v1/{id}
		      client GET /suggestions/v1/{id}`)
}

// TestSuggestionsURL: whatever the id, it stays one segment of the path.
func TestSuggestionsURL(t *testing.T) {
	var path string
	srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		path = r.RequestURI
		suggest()(w, r)
	})
	base, _ := url.Parse(srv.URL + "/base/")
	client := articles.NewSuggestionsClient(base, time.Second)
	for id, want := range map[articles.ArticleID]string{
		"../../admin?x=1": "/base/suggestions/v1/..%2F..%2Fadmin%3Fx=1",
		"..":              "/base/suggestions/v1/%2E%2E",
		"a b/#":           "/base/suggestions/v1/a%20b%2F%23",
	} {
		if _, err := client.Suggestions(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if path != want {
			t.Errorf("id %q asked for %q, want %q", id, path, want)
		}
	}
}

// TestConnectionsAreReused: bodies are read and closed, also those of errors, so that one connection does.
func TestConnectionsAreReused(t *testing.T) {
	for _, status := range []int{200, 404, 500} {
		var connections atomic.Int64
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "[]")
		}))
		srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				connections.Add(1)
			}
		}
		srv.Start()
		defer srv.Close()
		api := newAPI(t, srv.URL, options{articles: 20, concurrency: 1})
		get(t, api.URL+"/articles/v1/?with_suggested=1")
		if n := connections.Load(); n != 1 {
			t.Errorf("status %d: %d connections for 20 calls", status, n)
		}
	}
}

func TestParseSuggestionsHost(t *testing.T) {
	for _, bad := range []string{"", "localhost:8002", "ftp://x", "http://", "http://x?y", "http://x#y", "mailto:x", "http://[::1"} {
		if u, err := articles.ParseSuggestionsHost(bad); err == nil {
			t.Errorf("%q gives %v", bad, u)
		}
	}
	if _, err := articles.ParseSuggestionsHost("https://suggestions.example.com/base"); err != nil {
		t.Error(err)
	}
}
