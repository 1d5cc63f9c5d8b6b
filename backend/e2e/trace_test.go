//go:build e2e

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// span is one span of a trace as the native API gives it.
type span struct {
	TraceID       string     `json:"traceId"`
	SpanID        string     `json:"spanId"`
	ParentSpanID  string     `json:"parentSpanId"`
	TraceState    string     `json:"traceState"`
	Name          string     `json:"name"`
	Kind          int        `json:"kind"`
	Start         string     `json:"startTimeUnixNano"`
	End           string     `json:"endTimeUnixNano"`
	AttributeList []keyValue `json:"attributes"`
	Events        []struct {
		Name          string     `json:"name"`
		AttributeList []keyValue `json:"attributes"`
	} `json:"events"`
	Status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"status"`

	service string
	scope   string
}

type keyValue struct {
	Key   string         `json:"key"`
	Value map[string]any `json:"value"`
}

func text(v map[string]any) string {
	for _, x := range v {
		return fmt.Sprint(x)
	}
	return ""
}

// attribute returns an attribute's value as text, "" when there is none.
func (s *span) attribute(key string) string {
	for _, kv := range s.AttributeList {
		if kv.Key == key {
			return text(kv.Value)
		}
	}
	return ""
}

var (
	kinds    = []string{"unspecified", "internal", "server", "client", "producer", "consumer"}
	statuses = []string{"unset", "ok", "error"}
)

// summary is one row of the trace list.
type summary struct {
	TraceID   string `json:"traceId"`
	RootName  string `json:"rootName"`
	SpanCount int    `json:"spanCount"`
	HasRoot   bool   `json:"hasRoot"`
}

// traces lists what the backend has for a filter.
func (w *world) traces(t *testing.T, filter url.Values) []summary {
	t.Helper()
	var got struct{ Traces []summary }
	body := mustGet(t, http.StatusOK, w.ui+"/api/native/v1/traces?"+filter.Encode())
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	return got.Traces
}

// trace returns the spans that the backend has of a trace.
func (w *world) trace(t *testing.T, id string) []*span {
	t.Helper()
	status, body, err := get(t.Context(), w.ui+"/api/native/v1/traces/"+id)
	if err != nil {
		t.Fatal(err)
	}
	if status == http.StatusNotFound {
		return nil
	}
	if status != http.StatusOK {
		t.Fatalf("trace %s: %d %s", id, status, body)
	}
	var got struct {
		ResourceSpans []struct {
			Resource struct {
				Attributes []keyValue `json:"attributes"`
			} `json:"resource"`
			ScopeSpans []struct {
				Scope struct {
					Name string `json:"name"`
				} `json:"scope"`
				Spans []*span `json:"spans"`
			} `json:"scopeSpans"`
		} `json:"resourceSpans"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("trace %s: %v\n%s", id, err, body)
	}
	var all []*span
	for _, rs := range got.ResourceSpans {
		service := ""
		for _, kv := range rs.Resource.Attributes {
			if kv.Key == "service.name" {
				service = text(kv.Value)
			}
		}
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				s.service, s.scope = service, ss.Scope.Name
				all = append(all, s)
			}
		}
	}
	return all
}

// newTrace returns the trace that do causes, once it has n spans. It is the
// only one that the filter finds after do and did not before.
func (w *world) newTrace(t *testing.T, filter url.Values, n int, do func()) []*span {
	t.Helper()
	before := w.traces(t, filter)
	do()
	var id string
	eventually(t, 10*time.Second, func() string {
		for _, s := range w.traces(t, filter) {
			if !slices.ContainsFunc(before, func(b summary) bool { return b.TraceID == s.TraceID }) {
				id = s.TraceID
				return ""
			}
		}
		return "no new trace for " + filter.Encode()
	})
	return w.wholeTrace(t, id, n)
}

// wholeTrace waits until the trace has n spans.
func (w *world) wholeTrace(t *testing.T, id string, n int) []*span {
	t.Helper()
	var spans []*span
	eventually(t, 10*time.Second, func() string {
		spans = w.trace(t, id)
		if len(spans) >= n {
			return ""
		}
		return fmt.Sprintf("trace %s has %d spans, want %d:\n%s", id, len(spans), n, dump(spans, nil))
	})
	return spans
}

// dump draws the tree of spans: service, kind, name, status, then those
// attributes that keep says, by key. Siblings are sorted by their text, because
// concurrent calls have no order. A span whose parent is not there is a root.
func dump(spans []*span, keep func(key, value string) (string, bool)) string {
	children := map[string][]*span{}
	known := map[string]bool{}
	for _, s := range spans {
		known[s.SpanID] = true
	}
	var roots []*span
	for _, s := range spans {
		if known[s.ParentSpanID] {
			children[s.ParentSpanID] = append(children[s.ParentSpanID], s)
		} else {
			roots = append(roots, s)
		}
	}
	var draw func(s *span, indent string) string
	drawAll := func(list []*span, indent string) string {
		texts := make([]string, len(list))
		for i, s := range list {
			texts[i] = draw(s, indent)
		}
		sort.Strings(texts)
		return strings.Join(texts, "")
	}
	draw = func(s *span, indent string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "%s%s %s %s", indent, s.service, kinds[s.Kind], s.Name)
		if s.Status.Code != 0 {
			fmt.Fprintf(&b, " [%s]", statuses[s.Status.Code])
		}
		b.WriteByte('\n')
		if keep != nil {
			var lines []string
			for _, kv := range s.AttributeList {
				if value, ok := keep(kv.Key, text(kv.Value)); ok {
					lines = append(lines, fmt.Sprintf("%s    %s = %s\n", indent, kv.Key, value))
				}
			}
			sort.Strings(lines)
			b.WriteString(strings.Join(lines, ""))
		}
		b.WriteString(drawAll(children[s.SpanID], indent+"  "))
		return b.String()
	}
	return drawAll(roots, "")
}

// golden compares text with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -tags e2e -update makes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs.\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}
