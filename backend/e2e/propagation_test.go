//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

const (
	callerTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerSpan  = "00f067aa0ba902b7"
)

func TestCallersTraceIsContinued(t *testing.T) {
	w := startWorld(t)
	mustGet(t, 200, w.articlesURL+"/articles/v1/"+firstArticle+"?with_suggested=1",
		"traceparent", "00-"+callerTrace+"-"+callerSpan+"-01", "tracestate", "vendor=kept")
	spans := w.wholeTrace(t, callerTrace, 8)
	for _, s := range spans {
		switch {
		case s.service == "articles-service" && s.Kind == 2 && s.ParentSpanID != callerSpan:
			t.Errorf("the server span's parent is %q, want the caller's", s.ParentSpanID)
		case s.service == "suggestions-service" && s.Kind == 2 && s.ParentSpanID == callerSpan:
			t.Errorf("suggestions hangs on the caller, not on articles' call")
		}
	}
	suggestionsTrace := strings.Repeat("5", 32)
	mustGet(t, 200, w.suggestionsURL+"/suggestions/v1", "traceparent", "00-"+suggestionsTrace+"-"+callerSpan+"-01")
	for _, s := range w.wholeTrace(t, suggestionsTrace, 2) {
		if s.Kind == 2 && s.ParentSpanID != callerSpan {
			t.Errorf("the server span's parent is %q, want the caller's", s.ParentSpanID)
		}
	}
}

func TestUnsampledCallerIsNotRecorded(t *testing.T) {
	w := startWorld(t)
	for _, url := range []string{w.articlesURL + "/articles/v1/?with_suggested=1", w.suggestionsURL + "/suggestions/v1"} {
		mustGet(t, 200, url, "traceparent", "00-"+callerTrace+"-"+callerSpan+"-00")
	}
	// A later trace has arrived whole from both services, so theirs would have.
	w.newTrace(t, serverSpans("GET /articles/v1/"), 14, func() { mustGet(t, 200, w.articlesURL+"/articles/v1/?with_suggested=1") })
	if spans := w.trace(t, callerTrace); len(spans) != 0 {
		t.Errorf("recorded:\n%s", dump(spans, nil))
	}
}

func TestMalformedTraceparentStartsANewTrace(t *testing.T) {
	w := startWorld(t)
	for _, header := range []string{"garbage", "00-" + strings.Repeat("0", 32) + "-" + callerSpan + "-01", "ff-" + callerTrace + "-" + callerSpan + "-01"} {
		spans := w.newTrace(t, serverSpans("GET /articles/v1/"), 5, func() {
			mustGet(t, 200, w.articlesURL+"/articles/v1/", "traceparent", header)
		})
		for _, s := range spans {
			if s.Kind == 2 && s.ParentSpanID != "" {
				t.Errorf("%q: the server span has the parent %q", header, s.ParentSpanID)
			}
		}
	}
}

// A stop right after a request: the spans are still in the queues, where
// OTEL_BSP_SCHEDULE_DELAY would keep them for a minute.
func TestSpansSurviveSIGTERM(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			slow := "OTEL_BSP_SCHEDULE_DELAY=60000"
			w := startWorld(t, articlesEnv(slow), suggestionsEnv(slow))
			mustGet(t, 200, w.articlesURL+"/articles/v1/?with_suggested=1", "traceparent", "00-"+callerTrace+"-"+callerSpan+"-01")
			w.articles.signal(t, signal)
			w.suggestions.signal(t, signal)
			for _, p := range []*program{w.articles, w.suggestions} {
				if code := p.cmd.ProcessState.ExitCode(); code != 0 {
					t.Errorf("%s ended with status %d", p.name, code)
				}
			}
			if spans := w.trace(t, callerTrace); len(spans) != 14 {
				t.Errorf("%d spans, want 14:\n%s", len(spans), dump(spans, nil))
			}
		})
	}
}

// A request that is under way when SIGTERM comes is answered first.
func TestRequestUnderWayIsDrained(t *testing.T) {
	arrived, answer := make(chan struct{}, 3), make(chan struct{})
	w := startWorld(t, suggestionsAt(serve(t, func(rw http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-answer
		fmt.Fprint(rw, "[]")
	})))
	got := make(chan error, 1)
	go func() {
		status, body, err := get(t.Context(), w.articlesURL+"/articles/v1/?with_suggested=1", "traceparent", "00-"+callerTrace+"-"+callerSpan+"-01")
		if err == nil && status != 200 {
			err = fmt.Errorf("%d %s", status, body)
		}
		got <- err
	}()
	<-arrived
	w.articles.cmd.Process.Signal(syscall.SIGTERM)
	// Once it has heard, it takes no new connections.
	eventually(t, 5e9, func() string {
		if _, _, err := get(t.Context(), w.articlesURL+"/healthz"); err != nil {
			return ""
		}
		return "articles still accepts requests"
	})
	close(answer)
	if err := <-got; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	<-w.articles.exited
	if spans := w.trace(t, callerTrace); len(spans) != 8 {
		t.Errorf("%d spans, want 8:\n%s", len(spans), dump(spans, nil))
	}
}

// With no backend to send to, answers are the same, and what is lost is said
// once, not once a request.
func TestDeadBackend(t *testing.T) {
	w := startWorld(t, withoutBackend(),
		articlesEnv("OTEL_BSP_MAX_QUEUE_SIZE=32", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=16", "OTEL_EXPORTER_OTLP_TIMEOUT=200"),
		suggestionsEnv("OTEL_BSP_MAX_QUEUE_SIZE=32", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=16", "OTEL_EXPORTER_OTLP_TIMEOUT=200"))
	for range 200 {
		if a, enriched := articlesWithSuggested(t, w); enriched != 3 || len(a.Warnings) != 0 {
			t.Fatalf("%d enriched, warnings %q", enriched, a.Warnings)
		}
	}
	w.articles.signal(t, syscall.SIGTERM)
	w.suggestions.signal(t, syscall.SIGTERM)
	for _, p := range []*program{w.articles, w.suggestions} {
		said := 0
		for line := range strings.Lines(p.out.String()) {
			if strings.Contains(line, "dropped") {
				said++
			}
		}
		// At the first loss, perhaps once more with back-off, and at the end the sum.
		if said < 1 || said > 4 {
			t.Errorf("%s speaks of dropped spans %d times in 200 requests:\n%s", p.name, said, p.out)
		}
	}
}
