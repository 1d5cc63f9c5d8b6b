package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/throughline/throughline/backend/span"
)

// Pages of any size, put together, are the list, also where many traces begin at
// the same time and more arrive between the pages.
func TestCursor(t *testing.T) {
	f := serve(t)
	b := traces(0, 60)
	for i := range b.Spans {
		b.Spans[i].StartTime -= uint64(i / 20) // twenty each begin together
	}
	if err := f.db.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	type page struct {
		Traces     []struct{ TraceID string }
		Truncated  bool
		NextCursor string
	}
	get := func(limit int, cursor string) (p page) {
		q := url.Values{"limit": {fmt.Sprint(limit)}}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		status, body := f.get(t, "/api/native/v1/traces?"+q.Encode())
		if err := json.Unmarshal([]byte(body), &p); err != nil || status != 200 || p.Traces == nil || p.Truncated != (p.NextCursor != "") {
			t.Fatalf("%d, %v: %s", status, err, body)
		}
		return p
	}
	all := get(1000, "")
	if len(all.Traces) != 60 || all.Truncated {
		t.Fatalf("%d traces", len(all.Traces))
	}
	for _, limit := range []int{1, 7, 20, 21, 59, 60} {
		var got []string
		pages := 0
		for cursor := ""; cursor != "" || pages == 0; pages++ {
			p := get(limit, cursor)
			for _, tr := range p.Traces {
				got = append(got, tr.TraceID)
			}
			cursor = p.NextCursor
		}
		if len(got) != 60 || pages != (60+limit-1)/limit {
			t.Fatalf("limit %d: %d traces on %d pages", limit, len(got), pages)
		}
		for i := range got {
			if got[i] != all.Traces[i].TraceID {
				t.Fatalf("limit %d: trace %d is %s, want %s", limit, i, got[i], all.Traces[i].TraceID)
			}
		}
	}
	// Traces that begin with the last of a page and come before it in the list do
	// not hide those behind.
	first := get(5, "")
	late := traces(1000, 50)
	for i := range late.Spans {
		late.Spans[i].TraceID[0] = 0xff
	}
	if err := f.db.Append(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for cursor := first.NextCursor; cursor != ""; {
		p := get(5, cursor)
		for _, tr := range p.Traces {
			seen[tr.TraceID] = true
		}
		cursor = p.NextCursor
	}
	for _, tr := range all.Traces[5:] {
		if !seen[tr.TraceID] {
			t.Errorf("trace %s is on no page", tr.TraceID)
		}
	}
	for _, bad := range []string{"x", "1.2.3", "1.00000000000000000000000000000000.1", "1.00000000000000000000000000000001.0", "01.00000000000000000000000000000001.1", "1.00000000000000000000000000000001.1x"} {
		if status, body := f.get(t, "/api/native/v1/traces?cursor="+bad); status != 400 {
			t.Errorf("cursor %q: %d: %s", bad, status, body)
		}
	}
}

// An answer that the client has is not sent again until it changes.
func TestEntityTags(t *testing.T) {
	f := serve(t, "testdata/example.json")
	ask := func(path, tag string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.web.URL+"/api/native/v1/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tag != "" {
			request.Header.Set("If-None-Match", tag)
		}
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	const id = "5b8efff798038103d269b633813fc60c"
	tags := map[string]string{}
	for _, path := range []string{"services", "operations", "operations/statistics", "edges", "traces", "traces/" + id, "search?q=%7B%7D", "attributes", "attributes/values?attribute=name"} {
		first := ask(path, "")
		body := readAll(t, first)
		tag := first.Header.Get("ETag")
		if first.StatusCode != 200 || tag == "" || body == "" {
			t.Fatalf("%s: %s, tag %q", path, first.Status, tag)
		}
		for _, has := range []string{tag, `"other", ` + tag, "*", tag[2:]} {
			again := ask(path, has)
			if body := readAll(t, again); again.StatusCode != 304 || body != "" || again.Header.Get("ETag") != tag {
				t.Errorf("%s with %s: %s, %d bytes", path, has, again.Status, len(body))
			}
		}
		other := ask(path, `"other"`)
		if readAll(t, other) != body || other.StatusCode != 200 {
			t.Errorf("%s with another tag: %s", path, other.Status)
		}
		tags[path] = tag
	}
	s := span.Span{Name: "late", SpanID: span.SpanID{9}, StartTime: 1_790_000_000_000_000_000, EndTime: 1_790_000_000_000_000_001}
	s.TraceID, _ = span.ParseTraceID(id)
	if err := f.db.Append(t.Context(), &span.Batch{Spans: []span.Span{s}}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"services", "operations", "operations/statistics", "traces", "traces/" + id} {
		resp := ask(path, tags[path])
		if readAll(t, resp); resp.StatusCode != 200 {
			t.Errorf("%s after a change: %s", path, resp.Status)
		}
	}
}
