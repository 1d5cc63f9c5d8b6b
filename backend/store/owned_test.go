package store

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/throughline/throughline/backend/span"
)

// What statistics return is the caller's: none of it lies in a segment, which is
// unmapped once a merge or retention has dropped it.
func TestStatisticsAreOwned(t *testing.T) {
	db, err := Open(t.TempDir(), Options{HeadSpans: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	spans := someSpans(rand.New(rand.NewPCG(7, 7)), 1000)
	for from := 0; from < len(spans); from += 100 {
		if err := db.Append(t.Context(), &span.Batch{Spans: spans[from : from+100]}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); db.Stats().Sealing > 0 || db.Stats().Segments < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", db.Stats())
		}
	}
	r := db.read()
	defer r.close()
	owned := func(what, text string) {
		at := uintptr(unsafe.Pointer(unsafe.StringData(text)))
		for _, s := range r.segments {
			from := uintptr(unsafe.Pointer(unsafe.SliceData(s.data)))
			if text != "" && at >= from && at < from+uintptr(s.size) {
				t.Errorf("%s: %q lies in %s", what, text, s.name)
			}
		}
	}
	minutes, err := db.OperationMinutes(t.Context(), 0, 0, func(string) bool { return true })
	if err != nil || len(minutes) == 0 {
		t.Fatal(len(minutes), err)
	}
	for _, o := range minutes {
		owned("OperationMinutes", o.Service)
		owned("OperationMinutes", o.Name)
	}
	stats, err := db.OperationStats(t.Context(), 0, 0, nil)
	if err != nil || len(stats) == 0 {
		t.Fatal(len(stats), err)
	}
	for i := range stats {
		owned("OperationStats", stats[i].Service)
		owned("OperationStats", stats[i].Name)
	}
	edges, err := db.Edges(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range edges {
		owned("Edges", edges[i].Parent)
		owned("Edges", edges[i].Child)
	}
	for _, s := range db.Services() {
		owned("Services", s.Name)
	}
	for _, o := range db.Operations(nil) {
		owned("Operations", o.Service)
		owned("Operations", o.Name)
	}
	found, err := db.Search(t.Context(), &Filter{Limit: 50})
	if err != nil || len(found.Traces) == 0 {
		t.Fatal(len(found.Traces), err)
	}
	for i := range found.Traces {
		s := &found.Traces[i]
		owned("Search", s.RootService)
		owned("Search", s.RootName)
		for _, c := range s.Services {
			owned("Search", c.Name)
		}
		trace, _, err := db.Trace(t.Context(), s.TraceID)
		if err != nil {
			t.Fatal(err)
		}
		for j := range trace.Spans {
			sp := &trace.Spans[j]
			owned("Trace", sp.Name)
			owned("Trace", sp.ServiceName())
			for _, a := range sp.Attributes {
				owned("Trace", a.Key)
				if a.Value.Type() == span.TypeString {
					owned("Trace", a.Value.Str())
				}
			}
		}
	}
}
