package api_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/throughline/throughline/backend/api"
	"github.com/throughline/throughline/backend/store"
)

func TestMetrics(t *testing.T) {
	db := store.New(store.Options{})
	t.Cleanup(func() { db.Close() })
	h := api.New(api.Config{Store: db, Ingest: func() api.Ingest { return api.Ingest{AcceptedSpans: 7} }})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/metrics", nil))
	body := w.Body.String()
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	for _, want := range []string{"throughline_store_writable 1\n", "throughline_ingest_accepted_spans_total 7\n", "throughline_store_spans 0\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) throughline_[a-z_]+ .+|throughline_[a-z_]+ [0-9.e+-]+)$`)
	for _, l := range strings.Split(strings.TrimSpace(body), "\n") {
		if !line.MatchString(l) {
			t.Errorf("line %q", l)
		}
	}
}
