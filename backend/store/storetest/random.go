package storetest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// base is the time at which random traces begin, unix nanoseconds.
const base = 1_790_000_000_000_000_000

var (
	serviceNames = []string{"", "articles-service", "suggestions-service", "payments", "mail"}
	spanNames    = []string{"", "GET /", "GET /articles/v1/{id}", "query", "send"}
	// Most spans have none; one of two, of 3⅓ and of four were kept of the others.
	traceStates = []string{"", "", "", "", "ot=th:8", "ot=th:b333333333333", "vendor=x,ot=rv:c0000000000000;th:c", "vendor=x"}
)

// Spans makes the spans of random traces, shuffled: orphans, cycles, several
// roots, resent spans and new versions of them among them. No two spans of
// different traces start at the same time.
func Spans(rng *rand.Rand, traces int) []span.Span {
	var spans []span.Span
	origins := map[string]*span.Resource{}
	for _, name := range serviceNames {
		attributes := []span.Attribute{{Key: "host", Value: span.String("h" + name)}, {Key: "both", Value: span.Int(1)}}
		if name != "" {
			attributes = append(attributes, span.Attribute{Key: "service.name", Value: span.String(name)})
		}
		origins[name] = &span.Resource{Attributes: attributes, SchemaURL: "https://opentelemetry.io/schemas/1.37.0"}
	}
	scopes := []*span.Scope{{}, {Name: "http", Version: "1.2.3"}}
	used := map[uint64]bool{}
	for range traces {
		var id span.TraceID
		binary.BigEndian.PutUint64(id[:], rng.Uint64())
		start := base + uint64(rng.Int64N(int64(time.Minute)))
		n := 1 + rng.IntN(12)
		if rng.IntN(8) == 0 {
			n = 30 + rng.IntN(60) // past the size at which a trace is indexed
		}
		state := pick(rng, traceStates)
		for i := range n {
			at := start + uint64(rng.Int64N(int64(100*time.Millisecond)))
			for used[at] {
				at++
			}
			used[at] = true
			s := span.Span{
				TraceID: id, SpanID: spanID(i + 1), Name: pick(rng, spanNames), Kind: span.Kind(rng.IntN(6)),
				StartTime: at, EndTime: at + uint64(rng.Int64N(int64(200*time.Millisecond))),
				Status:   span.Status{Code: span.StatusCode(rng.IntN(3))},
				Resource: origins[pick(rng, serviceNames)], Scope: pick(rng, scopes), TraceState: state,
				Attributes: []span.Attribute{
					{Key: "n", Value: span.Int(int64(rng.IntN(3)))},
					{Key: "both", Value: span.Bool(rng.IntN(2) == 0)},
				},
			}
			if rng.IntN(3) == 0 {
				s.Events = []span.Event{{Time: at, Name: "exception", Attributes: []span.Attribute{{Key: "message", Value: span.String("no")}}}}
			}
			if i > 0 && rng.IntN(8) > 0 {
				s.ParentSpanID = spanID(1 + rng.IntN(n+1)) // maybe itself, maybe absent
			}
			spans = append(spans, s)
			for range rng.IntN(8) - 5 {
				again := s
				again.EndTime += uint64(rng.IntN(3)) * 1000
				again.Status.Code = span.StatusCode(rng.IntN(3))
				again.Name = pick(rng, spanNames)
				again.Resource = origins[pick(rng, serviceNames)]
				again.ParentSpanID = spanID(rng.IntN(n + 1))
				if rng.IntN(3) == 0 {
					again.TraceState = pick(rng, traceStates)
				}
				spans = append(spans, again)
			}
		}
	}
	rng.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
	return spans
}

// RandomFilter makes a filter that finds some of the traces of Spans.
func RandomFilter(rng *rand.Rand) *store.Filter {
	f := &store.Filter{}
	if rng.IntN(3) == 0 {
		f.Service = new(pick(rng, append(serviceNames, "nobody")))
	}
	if rng.IntN(3) == 0 {
		f.Name = new(pick(rng, append(spanNames, "nothing")))
	}
	if rng.IntN(4) == 0 {
		f.Kind = new(span.Kind(rng.IntN(6)))
	}
	if rng.IntN(4) == 0 {
		f.Status = new(span.StatusCode(rng.IntN(3)))
	}
	if rng.IntN(4) == 0 {
		f.MinDuration = time.Duration(rng.Int64N(int64(200 * time.Millisecond)))
	}
	if rng.IntN(4) == 0 {
		f.MaxDuration = f.MinDuration + time.Duration(1+rng.Int64N(int64(50*time.Millisecond)))
	}
	if rng.IntN(4) == 0 {
		f.Attributes = append(f.Attributes, pick(rng, []store.AttributeFilter{{Key: "n", Value: "1"}, {Key: "both", Value: "true"}, {Key: "both", Value: "1"}, {Key: "host", Value: "hmail"}, {Key: "none", Value: ""}}))
	}
	if rng.IntN(8) == 0 {
		f.Where = func(s *span.Span) bool { return len(s.Events) > 0 }
	}
	if rng.IntN(3) == 0 {
		f.Start = base + uint64(rng.Int64N(int64(time.Minute)))
	}
	if rng.IntN(3) == 0 {
		f.End = base + uint64(rng.Int64N(int64(time.Minute)))
	}
	if rng.IntN(4) == 0 {
		f.StartMin = base + uint64(rng.Int64N(int64(time.Minute)))
	}
	if rng.IntN(4) == 0 {
		f.StartMax = base + uint64(rng.Int64N(int64(time.Minute)))
	}
	if rng.IntN(2) == 0 {
		f.Limit = 1 + rng.IntN(20)
	}
	return f
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

func spanID(n int) span.SpanID {
	var id span.SpanID
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

func describe(f *store.Filter) string {
	var b strings.Builder
	show := func(name string, p any, set bool) {
		if set {
			fmt.Fprintf(&b, "%s=%v ", name, p)
		}
	}
	if f.Service != nil {
		show("service", *f.Service, true)
	}
	if f.Name != nil {
		show("name", *f.Name, true)
	}
	if f.Kind != nil {
		show("kind", *f.Kind, true)
	}
	if f.Status != nil {
		show("status", *f.Status, true)
	}
	show("min", f.MinDuration, f.MinDuration != 0)
	show("max", f.MaxDuration, f.MaxDuration != 0)
	show("attributes", f.Attributes, f.Attributes != nil)
	show("where", true, f.Where != nil)
	show("start", f.Start, f.Start != 0)
	show("end", f.End, f.End != 0)
	show("startMin", f.StartMin, f.StartMin != 0)
	show("startMax", f.StartMax, f.StartMax != 0)
	show("limit", f.Limit, f.Limit != 0)
	return b.String()
}
