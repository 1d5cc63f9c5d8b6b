//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stable keeps every attribute, and masks the values that differ from run to run.
func stable(key, value string) (string, bool) {
	switch key {
	case "server.port", "client.port", "network.peer.port", "network.local.port", "url.full", "user_agent.original",
		"code.file.path", "code.line.number", "thread.id", "thread.name":
		return "*", true
	}
	return value, true
}

func serverSpans(name string) url.Values {
	return url.Values{"service": {"articles-service"}, "name": {name}, "kind": {"server"}}
}

func TestTraceOfEachRoute(t *testing.T) {
	w := startWorld(t)
	for _, test := range []struct {
		golden string
		url    string
		status int
		filter url.Values
		spans  int
	}{
		{"list.tree", w.articlesURL + "/articles/v1/", 200, serverSpans("GET /articles/v1/"), 5},
		{"list-with-suggested.tree", w.articlesURL + "/articles/v1/?with_suggested=1", 200, serverSpans("GET /articles/v1/"), 14},
		{"one.tree", w.articlesURL + "/articles/v1/" + firstArticle + "/", 200, serverSpans("GET /articles/v1/{id}"), 5},
		{"one-with-suggested.tree", w.articlesURL + "/articles/v1/" + firstArticle + "?with_suggested=true", 200, serverSpans("GET /articles/v1/{id}"), 8},
		{"unknown-article.tree", w.articlesURL + "/articles/v1/nope", 404, serverSpans("GET /articles/v1/{id}"), 4},
		{"bad-parameter.tree", w.articlesURL + "/articles/v1/?with_suggested=maybe", 400, serverSpans("GET /articles/v1/"), 2},
		{"no-such-path.tree", w.articlesURL + "/secret/path-7f3a", 404, serverSpans("GET"), 1},
		{"suggestions-all.tree", w.suggestionsURL + "/suggestions/v1", 200, url.Values{"service": {"suggestions-service"}, "name": {"GET /suggestions/v1"}}, 2},
		{"suggestions-unknown.tree", w.suggestionsURL + "/suggestions/v1/nope", 404, url.Values{"service": {"suggestions-service"}, "name": {"GET /suggestions/v1/<article_id>"}, "attr": {"http.response.status_code=404"}}, 2},
	} {
		t.Run(strings.TrimSuffix(test.golden, ".tree"), func(t *testing.T) {
			spans := w.newTrace(t, test.filter, test.spans, func() { mustGet(t, test.status, test.url) })
			for _, s := range spans {
				if s.scope == "" {
					t.Errorf("span %q has an empty scope name", s.Name)
				}
				if strings.Contains(s.Name, "7f3a") || strings.Contains(s.Name, firstArticle) {
					t.Errorf("span name %q holds a part of the path", s.Name)
				}
			}
			golden(t, test.golden, dump(spans, stable))
		})
	}
}

func TestLeanDetailLeavesDecoderAndEncoderOut(t *testing.T) {
	w := startWorld(t, articlesEnv("TRACING_DETAIL=lean", "SUGGESTIONS_CONCURRENCY=1"))
	spans := w.newTrace(t, serverSpans("GET /articles/v1/"), 12, func() {
		mustGet(t, 200, w.articlesURL+"/articles/v1/?with_suggested=1")
	})
	golden(t, "lean.tree", dump(spans, nil))
}

func TestHealthRoutesAreNotTraced(t *testing.T) {
	w := startWorld(t)
	for _, base := range []string{w.articlesURL, w.suggestionsURL, w.ui} {
		for _, path := range []string{"/healthz", "/readyz"} {
			mustGet(t, 200, base+path)
		}
	}
	// What comes after them in the same queues has arrived, and they have not.
	w.newTrace(t, serverSpans("GET /articles/v1/"), 14, func() { mustGet(t, 200, w.articlesURL+"/articles/v1/?with_suggested=1") })
	if got := w.traces(t, nil); len(got) != 1 {
		t.Errorf("%d traces, want 1: %+v", len(got), got)
	}
}

type answer struct {
	Articles []map[string]json.RawMessage `json:"articles"`
	Warnings []string                     `json:"warnings"`
}

// articlesWithSuggested asks for the list and returns how many articles have
// their suggestions.
func articlesWithSuggested(t *testing.T, w *world) (a answer, enriched int) {
	t.Helper()
	body := mustGet(t, 200, w.articlesURL+"/articles/v1/?with_suggested=1")
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Articles) != 3 {
		t.Fatalf("%d articles: %s", len(a.Articles), body)
	}
	for _, article := range a.Articles {
		if _, ok := article["suggested"]; ok {
			enriched++
		}
	}
	return a, enriched
}

func TestSuggestionsKilled(t *testing.T) {
	w := startWorld(t)
	w.suggestions.signal(t, syscall.SIGKILL)
	spans := w.newTrace(t, serverSpans("GET /articles/v1/"), 8, func() {
		a, enriched := articlesWithSuggested(t, w)
		if enriched != 0 || len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "3") {
			t.Errorf("%d enriched, warnings %q", enriched, a.Warnings)
		}
	})
	golden(t, "suggestions-killed.tree", dump(spans, func(key, value string) (string, bool) {
		if key == "error.type" {
			return value, true
		}
		return value, key == "http.response.status_code"
	}))
}

func TestSuggestionsAnswerWrongly(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"garbage":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>oops</html>") },
		"object":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"a": 1}`) },
		"not-found": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"error":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"cut-short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `["`)
		},
		"no-end":     endless,
		"hung-up-on": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for name, handler := range answers {
		t.Run(name, func(t *testing.T) {
			upstream := httptest.NewServer(handler)
			defer upstream.Close()
			w := startWorld(t, suggestionsAt(upstream.URL))
			spans := w.newTrace(t, serverSpans("GET /articles/v1/"), 8, func() {
				a, enriched := articlesWithSuggested(t, w)
				if enriched != 0 || len(a.Warnings) != 1 {
					t.Errorf("%d enriched, warnings %q", enriched, a.Warnings)
				}
			})
			failed := 0
			for _, s := range spans {
				if s.Status.Code == 2 && s.attribute("error.type") != "" {
					failed++
				}
				if s.Kind == 2 && s.Status.Code == 2 {
					t.Errorf("the server span is an error, though it answered 200")
				}
			}
			if failed < 3 {
				t.Errorf("%d spans with an error and its type, want one for each article at least:\n%s", failed, dump(spans, stable))
			}
		})
	}
}

// endless sends a list that has no end until the client hangs up.
func endless(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "[")
	for r.Context().Err() == nil {
		if _, err := fmt.Fprintf(w, "%q,", strings.Repeat("a", 4000)); err != nil {
			return
		}
	}
}

func TestCancelledRequest(t *testing.T) {
	asked := make(chan struct{}, 10)
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done() // the cancellation is passed on
	}))
	defer upstream.Close()
	w := startWorld(t, suggestionsAt(upstream.URL), articlesEnv("SUGGESTIONS_TIMEOUT=8s"))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	begin := time.Now()
	spans := w.newTrace(t, serverSpans("GET /articles/v1/"), 7, func() {
		if _, _, err := get(ctx, w.articlesURL+"/articles/v1/?with_suggested=1"); err == nil {
			t.Error("the cancelled request got an answer")
		}
	})
	if took := time.Since(begin); took > 6*time.Second {
		t.Errorf("the cancelled request's spans took %v: it was not cancelled within articles", took)
	}
	// The caller's own cancellation is nobody's error.
	for _, s := range spans {
		if s.Kind == 2 && s.Status.Code == 2 {
			t.Errorf("the server span is an error:\n%s", dump(spans, stable))
		}
	}
}

func TestHungSuggestionsDoNotHangTheList(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer upstream.Close()
	for _, concurrency := range []string{"1", "2", "8"} {
		w := startWorld(t, suggestionsAt(upstream.URL), articlesEnv("SUGGESTIONS_CONCURRENCY="+concurrency))
		begin := time.Now()
		a, enriched := articlesWithSuggested(t, w)
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("concurrency %s: %v", concurrency, took)
		}
		if enriched != 0 || len(a.Warnings) == 0 {
			t.Errorf("concurrency %s: %d enriched, warnings %q", concurrency, enriched, a.Warnings)
		}
	}
}
