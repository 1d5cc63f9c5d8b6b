package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// corpus is what both servers are to hold: traces of files, moved to a time and
// given ids of their own, and generated ones. The same settings make the same
// spans.
type corpus struct {
	start time.Time // every span is in the corpusTime behind it
	spans [][]span.Span
	ids   []span.TraceID
}

// corpusTime is how long a corpus is. Traces of files begin in it and are short.
const corpusTime = time.Minute

func makeCorpus(start time.Time, golden string, traces int, seed uint64) (*corpus, error) {
	c := &corpus{start: start}
	r := rand.New(rand.NewPCG(seed, uint64(start.Unix())))
	if golden != "" {
		files, err := filepath.Glob(filepath.Join(golden, "*.json"))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("no *.json in %q: %v", golden, err)
		}
		for i, file := range files {
			if err := c.addFile(r, file, start.Add(time.Duration(i)*time.Second)); err != nil {
				return nil, err
			}
		}
	}
	for range traces {
		c.add(c.generate(r))
	}
	return c, nil
}

func (c *corpus) add(spans []span.Span) {
	c.spans = append(c.spans, spans)
	for i := range spans {
		if !slices.Contains(c.ids, spans[i].TraceID) {
			c.ids = append(c.ids, spans[i].TraceID)
		}
	}
}

// addFile moves the traces of a file so that its first span starts at start, and
// renames them, links among them included.
func (c *corpus) addFile(r *rand.Rand, file string, start time.Time) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	batch, err := span.DecodeJSON(text, span.Limits{})
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if len(batch.Spans) == 0 {
		return nil
	}
	first := batch.Spans[0].StartTime
	for _, s := range batch.Spans {
		first = min(first, s.StartTime)
	}
	shift := uint64(start.UnixNano()) - first
	names := map[span.TraceID]span.TraceID{}
	for _, s := range batch.Spans {
		if _, ok := names[s.TraceID]; !ok {
			names[s.TraceID] = newTraceID(r)
		}
	}
	// A span that comes twice is sent once: Tempo counts it twice until it compacts.
	seen := map[span.SpanID]bool{}
	batch.Spans = slices.DeleteFunc(batch.Spans, func(s span.Span) bool {
		again := seen[s.SpanID]
		seen[s.SpanID] = true
		return again
	})
	for i := range batch.Spans {
		s := &batch.Spans[i]
		s.TraceID = names[s.TraceID]
		s.StartTime += shift
		s.EndTime += shift
		for k := range s.Events {
			s.Events[k].Time += shift
		}
		for k := range s.Links {
			if id, ok := names[s.Links[k].TraceID]; ok {
				s.Links[k].TraceID = id
			}
		}
	}
	c.add(batch.Spans)
	return nil
}

func newTraceID(r *rand.Rand) (id span.TraceID) {
	fill(r, id[:])
	return id
}

func fill(r *rand.Rand, id []byte) {
	for i := range id {
		id[i] = byte(r.IntN(256))
	}
	id[0] |= 1
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// The words of generated traces and queries are few, so that they meet.
var (
	serviceNames = []string{"gateway", "cart", "payments", "stock"}
	spanNames    = []string{"GET /cart", "POST /pay", "SELECT stock", "charge card", "publish", "", "x"}
	methods      = []string{"GET", "POST", "PUT"}
	routes       = []string{"/cart", "/cart/{id}", "/pay"}
	mixedTexts   = []string{"", "x", "xy", "1", "true", "a\nb"}
)

// generate makes a trace, which may lack its root and other parents, with spans
// without a service and the same attribute in different types. It has one root,
// because Tempo names a trace by the root that it stored last; and whatever can have
// attributes has one, because Tempo finds nothing missing where there are none.
func (c *corpus) generate(r *rand.Rand) []span.Span {
	id := newTraceID(r)
	some := []span.Attribute{{Key: "some", Value: span.Int(1)}}
	var resources []*span.Resource
	for range 1 + r.IntN(3) {
		resource := &span.Resource{Attributes: append(some, span.Attribute{Key: "service.name", Value: span.String(pick(r, serviceNames...))})}
		if r.IntN(2) == 0 {
			resource.Attributes = append(resource.Attributes,
				span.Attribute{Key: "deployment.environment.name", Value: span.String(pick(r, "production", "test"))},
				span.Attribute{Key: "process.pid", Value: span.Int(int64(r.IntN(3)))})
		}
		if r.IntN(3) == 0 {
			resource.Attributes = append(resource.Attributes, span.Attribute{Key: "mixed", Value: mixed(r)})
		}
		resources = append(resources, resource)
	}
	if r.IntN(10) == 0 {
		resources = append(resources, &span.Resource{Attributes: []span.Attribute{{Key: "host.name", Value: span.String("h1")}}})
	}
	scopes := []*span.Scope{{Name: "lib/http", Version: "1.2", Attributes: some}, {Name: "lib/db", Attributes: append(some, span.Attribute{Key: "language", Value: span.String("go")})}, {Attributes: some}}
	start := uint64(c.start.UnixNano()) + uint64(r.IntN(100_000))*uint64(time.Millisecond)
	var spans []span.Span
	for i := range 1 + r.IntN(12) {
		start += uint64(r.IntN(20)) * uint64(time.Millisecond)
		s := span.Span{
			TraceID: id, Name: pick(r, spanNames...), Kind: span.Kind(r.IntN(6)),
			StartTime: start, EndTime: start + pick[uint64](r, 1, 2, 5, 20, 100, 900)*uint64(time.Millisecond) + uint64(r.IntN(2)*r.IntN(1_000_000)),
			Attributes: spanAttributes(r), Resource: pick(r, resources...), Scope: pick(r, scopes...),
		}
		if r.IntN(3) == 0 {
			s.Status = span.Status{Code: span.StatusCode(r.IntN(3)), Message: pick(r, "", "declined", "timeout")}
		}
		fill(r, s.SpanID[:])
		switch {
		case i > 0 && r.IntN(12) > 0:
			s.ParentSpanID = spans[r.IntN(i)].SpanID
		case i > 0 || r.IntN(8) == 0:
			fill(r, s.ParentSpanID[:])
		}
		if r.IntN(3) == 0 { // of several Tempo often looks at one only
			s.Events = append(s.Events, event(r, start))
		}
		if r.IntN(6) == 0 {
			link := span.Link{TraceID: newTraceID(r), Attributes: []span.Attribute{{Key: "reason", Value: span.String(pick(r, "retried", "batch"))}}}
			fill(r, link.SpanID[:])
			if len(c.ids) > 0 {
				link.TraceID = pick(r, c.ids...)
			}
			s.Links = append(s.Links, link)
		}
		spans = append(spans, s)
	}
	return spans
}

func event(r *rand.Rand, start uint64) span.Event {
	e := span.Event{Time: start + uint64(r.IntN(5))*uint64(time.Millisecond), Name: pick(r, "exception", "retry", "")}
	if e.Name == "exception" {
		e.Attributes = []span.Attribute{
			{Key: "exception.type", Value: span.String(pick(r, "TimeoutError", "DeclinedError"))},
			{Key: "exception.message", Value: span.String(pick(r, "too late", "no money"))},
		}
	} else {
		e.Attributes = []span.Attribute{{Key: "attempt", Value: span.Int(int64(r.IntN(4)))}}
	}
	return e
}

func spanAttributes(r *rand.Rand) (out []span.Attribute) {
	out = append(out, span.Attribute{Key: "some", Value: span.Int(1)})
	add := func(key string, v span.Value) {
		if r.IntN(3) == 0 {
			out = append(out, span.Attribute{Key: key, Value: v})
		}
	}
	add("http.request.method", span.String(pick(r, methods...)))
	add("http.response.status_code", span.Int(pick[int64](r, 200, 404, 500)))
	add("http.route", span.String(pick(r, routes...)))
	add("db.system.name", span.String(pick(r, "postgresql", "redis")))
	add("db.rows", span.Int(int64(r.IntN(5)-1)))
	add("amount", span.Float(pick(r, -1.5, 0, 0.5, 1, 2, 12.5)))
	add("cached", span.Bool(r.IntN(2) == 0))
	add("tags", list(r, func() span.Value { return span.String(pick(r, "red", "green", "blue")) }))
	add("sizes", list(r, func() span.Value { return span.Int(int64(r.IntN(4))) }))
	add("mixed", mixed(r))
	add("a name with space", span.String(pick(r, methods...)))
	return out
}

func list(r *rand.Rand, one func() span.Value) span.Value {
	var values []span.Value
	for range 1 + r.IntN(3) {
		values = append(values, one())
	}
	return span.List(values)
}

// mixed is a value of any type that TraceQL has.
func mixed(r *rand.Rand) span.Value {
	switch r.IntN(6) {
	case 0, 1:
		return span.Int(int64(r.IntN(3)))
	case 2:
		return span.Float(pick(r, 0, 0.5, 1))
	case 3:
		return span.Bool(r.IntN(2) == 0)
	case 4:
		return list(r, func() span.Value { return span.String(pick(r, mixedTexts...)) })
	}
	return span.String(pick(r, mixedTexts...))
}
