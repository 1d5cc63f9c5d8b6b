package articles_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/throughline/throughline/apps/articles/articles"
)

var _ = flag.Bool("update", false, "rewrite the golden files")

// testArticles returns n articles with the ids 000…1, 000…2 and so on.
func testArticles(n int) []articles.Article {
	list := make([]articles.Article, n)
	for i := range list {
		list[i] = articles.Article{ID: testID(i + 1), Author: "Ada", Title: fmt.Sprintf("Title %d", i+1), Text: "Text."}
	}
	return list
}

func testID(n int) articles.ArticleID { return articles.ArticleID(fmt.Sprintf("%032x", n)) }

// options are what a test of the API changes.
type options struct {
	articles    int
	concurrency int
	timeout     time.Duration // of one call
	request     time.Duration
	lean        bool
	log         io.Writer
}

// newAPI serves the API over a real listener, against the suggestions service at base.
func newAPI(t *testing.T, base string, o options) *httptest.Server {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	if o.log == nil {
		o.log = io.Discard
	}
	logger := slog.New(articles.NewLogHandler(o.log, slog.LevelDebug))
	client := articles.NewSuggestionsClient(u, or(o.timeout, 2*time.Second))
	service := articles.TraceService(articles.NewService(testArticles(or(o.articles, 2)), client, or(o.concurrency, 8), logger), otel.GetTracerProvider())
	endpoints := articles.MakeEndpoints(service, or(o.request, 10*time.Second))
	srv := httptest.NewServer(articles.NewHandler(endpoints, o.lean, logger))
	t.Cleanup(func() { srv.Close(); client.CloseIdleConnections() })
	return srv
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// newSuggestions serves h until the test ends; requests that hang are cut.
func newSuggestions(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv
}

// suggest answers with the given ids for every article.
func suggest(ids ...articles.ArticleID) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if ids == nil {
			ids = []articles.ArticleID{}
		}
		_ = json.NewEncoder(w).Encode(ids)
	}
}

// get returns status and body of a GET.
func get(t *testing.T, target string) (int, string) {
	t.Helper()
	res, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// lockedBuffer is a log that a test reads while handlers write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.b.String()), "\n")
}

// eventually waits until ok, for at most five seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}
