//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// world is the three programs, wired together on free ports.
type world struct {
	backend     *program
	articles    *program
	suggestions *program

	ui             string // URL of the backend's UI and APIs
	otlpHTTP       string
	otlpGRPC       string // host:port
	articlesURL    string
	suggestionsURL string
}

// The data the services are started with.
const (
	firstArticle  = "00000000000000000000000000000a01"
	secondArticle = "00000000000000000000000000000a02"
	loneArticle   = "00000000000000000000000000000a03"
)

var (
	articlesData = fmt.Sprintf(`[
  {"id": %q, "author": "Ann", "title": "One", "text": "First."},
  {"id": %q, "author": "Bob", "title": "Two", "text": "Second."},
  {"id": %q, "author": "Cy", "title": "Three", "text": "Third."}
]`, firstArticle, secondArticle, loneArticle)
	suggestionsData = fmt.Sprintf(`{%q: [%q, %q], %q: [%q], %q: []}`,
		firstArticle, secondArticle, loneArticle, secondArticle, firstArticle, loneArticle)
)

type option func(*options)

type options struct {
	articlesEnv    []string
	suggestionsEnv []string
	suggestionsURL string // of something else in the place of suggestions
	noBackend      bool
}

func articlesEnv(kv ...string) option    { return func(o *options) { o.articlesEnv = kv } }
func suggestionsEnv(kv ...string) option { return func(o *options) { o.suggestionsEnv = kv } }
func withoutBackend() option             { return func(o *options) { o.noBackend = true } }
func suggestionsAt(url string) option    { return func(o *options) { o.suggestionsURL = url } }

// startWorld starts the programs and waits until each is ready.
func startWorld(t testing.TB, opts ...option) *world {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	dir := t.TempDir()
	write := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	w := &world{otlpGRPC: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	if !o.noBackend {
		w.startBackend(t, dir)
	}
	tracing := []string{"TRACING_BACKEND_URL=" + w.otlpGRPC, "OTEL_BSP_SCHEDULE_DELAY=50"}

	w.suggestionsURL = o.suggestionsURL
	if w.suggestionsURL == "" {
		port := freePort(t)
		w.suggestionsURL = fmt.Sprintf("http://127.0.0.1:%d", port)
		env := append([]string{fmt.Sprintf("PORT=%d", port), "DATA_SOURCE_FILENAME=" + write("suggestions.json", suggestionsData)}, tracing...)
		w.suggestions = launch(t, "suggestions", filepath.Join(checkout, "apps", "suggestions"), append(env, o.suggestionsEnv...), pythonBin, "app.py")
	}
	port := freePort(t)
	w.articlesURL = fmt.Sprintf("http://127.0.0.1:%d", port)
	env := append([]string{
		fmt.Sprintf("PORT=%d", port), "DATA_SOURCE_FILENAME=" + write("articles.json", articlesData),
		"SUGGESTIONS_SERVICE_HOST=" + w.suggestionsURL,
	}, tracing...)
	w.articles = launch(t, "articles", dir, append(env, o.articlesEnv...), articlesBin)

	if w.suggestions != nil {
		w.suggestions.awaitReady(t, w.suggestionsURL+"/readyz")
	}
	w.articles.awaitReady(t, w.articlesURL+"/readyz")
	return w
}

// startBackend starts it on the world's ports.
func (w *world) startBackend(t testing.TB, dir string) {
	t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	otlpHTTP := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	w.ui, w.otlpHTTP = "http://"+listen, "http://"+otlpHTTP
	w.backend = launch(t, "throughline", dir, nil,
		throughline, "serve", "--data", ":memory:", "--listen", listen, "--otlp-grpc", w.otlpGRPC, "--otlp-http", otlpHTTP, "--jaeger-grpc", "")
	w.backend.awaitReady(t, w.ui+"/readyz")
}
