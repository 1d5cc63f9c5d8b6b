package articles_test

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/throughline/throughline/apps/articles/articles"
)

func parse(args []string, env map[string]string) (articles.Config, string, error) {
	var out bytes.Buffer
	c, err := articles.ParseConfig(args, func(name string) string { return env[name] }, &out)
	return c, out.String(), err
}

func TestConfigDefaults(t *testing.T) {
	c, _, err := parse(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := articles.ParseSuggestionsHost("http://127.0.0.1:8002")
	want := articles.Config{
		Host: "127.0.0.1", Port: 8001, SuggestionsHost: u, DataSource: "mocks/articles.json",
		SuggestionsConcurrency: 8, SuggestionsTimeout: 2 * time.Second, RequestTimeout: 10 * time.Second,
		ShutdownTimeout: 5 * time.Second, LogLevel: slog.LevelInfo,
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestConfigPrecedence: flag over environment over default; an empty variable is unset.
func TestConfigPrecedence(t *testing.T) {
	c, _, err := parse([]string{"--port", "1", "--tracing-detail=lean"},
		map[string]string{"PORT": "2", "HOST": "::1", "LOG_LEVEL": "", "TRACING_DETAIL": "full", "TRACING_BACKEND_URL": "tempo"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 1 || c.Host != "::1" || !c.LeanTracing || c.TracingBackendURL != "tempo" || c.LogLevel != slog.LevelInfo {
		t.Errorf("%+v", c)
	}
}

// TestConfigFaults: all of them at once, each with its source and value.
func TestConfigFaults(t *testing.T) {
	_, _, err := parse([]string{"--request-timeout=never"}, map[string]string{
		"PORT": "70000", "SUGGESTIONS_SERVICE_HOST": "suggestions:8002", "SUGGESTIONS_CONCURRENCY": "0",
		"SUGGESTIONS_TIMEOUT": "-1s", "SHUTDOWN_TIMEOUT": "5", "LOG_LEVEL": "loud", "TRACING_DETAIL": "some",
		"TRACING_BACKEND_URL": "https://user:s3cret@example.com",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{
		`PORT "70000"`, `SUGGESTIONS_SERVICE_HOST "suggestions:8002"`, `SUGGESTIONS_CONCURRENCY "0"`,
		`SUGGESTIONS_TIMEOUT "-1s"`, `SHUTDOWN_TIMEOUT "5"`, `LOG_LEVEL "loud"`, `TRACING_DETAIL "some"`,
		`--request-timeout "never"`, "TRACING_BACKEND_URL", "credentials",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error does not say %q: %v", part, err)
		}
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error shows a password: %v", err)
	}
}

func TestConfigUsage(t *testing.T) {
	if _, out, err := parse([]string{"--nope"}, nil); !errors.Is(err, articles.ErrUsage) || !strings.Contains(out, "-nope") {
		t.Errorf("%v, output %q", err, out)
	}
	if _, out, err := parse([]string{"serve"}, nil); !errors.Is(err, articles.ErrUsage) || !strings.Contains(out, `"serve"`) {
		t.Errorf("%v, output %q", err, out)
	}
	_, out, err := parse([]string{"--help"}, nil)
	if !errors.Is(err, flag.ErrHelp) {
		t.Errorf("%v", err)
	}
	for _, name := range []string{
		"HOST", "PORT", "SUGGESTIONS_SERVICE_HOST", "DATA_SOURCE_FILENAME", "SUGGESTIONS_CONCURRENCY",
		"SUGGESTIONS_TIMEOUT", "REQUEST_TIMEOUT", "SHUTDOWN_TIMEOUT", "LOG_LEVEL", "TRACING_DETAIL", "TRACING_BACKEND_URL",
	} {
		if !strings.Contains(out, "[$"+name+"]") {
			t.Errorf("help does not name %s", name)
		}
	}
}
