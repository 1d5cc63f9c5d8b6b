package articles_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// TestTraceGolden holds the trace of every kind of request, with all attributes.
func TestTraceGolden(t *testing.T) {
	suggestions := newSuggestions(t, suggest(testID(2)))
	id := string(testID(1))
	for name, c := range map[string]struct {
		method, path string
		lean         bool
	}{
		"list":                {"GET", "/articles/v1", false},
		"list-with-suggested": {"GET", "/articles/v1/?with_suggested=1", false},
		"list-lean":           {"GET", "/articles/v1/?with_suggested=1", true},
		"one":                 {"GET", "/articles/v1/" + id + "/", false},
		"one-with-suggested":  {"GET", "/articles/v1/" + id + "?with_suggested=true", false},
		"unknown-id":          {"GET", "/articles/v1/nope", false},
		"bad-parameter":       {"GET", "/articles/v1/?with_suggested=maybe", false},
		"no-route":            {"GET", "/wp-login.php", false},
		"method":              {"DELETE", "/articles/v1/" + id, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := tracingtest.Install(t)
			// One call at a time, so that the order is the same in every run.
			api := newAPI(t, suggestions.URL, options{concurrency: 1, lean: c.lean})
			req, _ := http.NewRequest(c.method, api.URL+c.path, nil)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			eventually(t, "the server span ends", func() bool { return len(r.Spans()) > 0 && len(r.Open()) == 0 })
			got := r.Tree(tracingtest.WithAttributes(), tracingtest.Mask("server.port", "network.peer.port"))
			got = strings.ReplaceAll(got, suggestions.URL, "http://suggestions")
			tracingtest.Golden(t, filepath.Join("testdata", "traces", name+".txt"), got)
		})
	}
}

// TestLogsCarryTheTrace: every line of a request has the ids of its trace.
func TestLogsCarryTheTrace(t *testing.T) {
	r := tracingtest.Install(t)
	log := &lockedBuffer{}
	api := newAPI(t, deadURL(t), options{log: log})
	get(t, api.URL+"/articles/v1/?with_suggested=1")
	eventually(t, "two lines", func() bool { return len(log.lines()) == 2 })
	trace := r.Roots()[0].Context.TraceID().String()
	for _, line := range log.lines() {
		var record struct {
			TraceID    string `json:"trace_id"`
			SpanID     string `json:"span_id"`
			TraceFlags string `json:"trace_flags"`
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record.TraceID != trace || len(record.SpanID) != 16 || record.TraceFlags != "01" {
			t.Errorf("line %s, want trace %s", line, trace)
		}
	}
}
