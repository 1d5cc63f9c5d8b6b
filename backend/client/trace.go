package client

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// limits bound the decoding of spans of a server, whose answer is bounded already.
var limits = span.Limits{Depth: 100, Memory: 4 << 30}

// traces sorts spans into traces. Of spans with one id that which ends last is
// kept, then the greater by its bytes.
func traces(spans []span.Span) []span.Trace {
	slices.SortFunc(spans, func(a, b span.Span) int {
		c := cmp.Or(bytes.Compare(a.TraceID[:], b.TraceID[:]), bytes.Compare(a.SpanID[:], b.SpanID[:]), cmp.Compare(b.EndTime, a.EndTime))
		if c != 0 {
			return c
		}
		x, y := a.AppendProto(nil), b.AppendProto(nil)
		return cmp.Or(cmp.Compare(len(y), len(x)), bytes.Compare(y, x))
	})
	spans = slices.CompactFunc(spans, func(a, b span.Span) bool { return a.TraceID == b.TraceID && a.SpanID == b.SpanID })
	var list []span.Trace
	for len(spans) > 0 {
		id := spans[0].TraceID
		n := slices.IndexFunc(spans, func(s span.Span) bool { return s.TraceID != id })
		if n < 0 {
			n = len(spans)
		}
		one := spans[:n:n]
		slices.SortFunc(one, earlier)
		list = append(list, span.Trace{ID: id, Spans: one})
		spans = spans[n:]
	}
	return list
}

func earlier(a, b span.Span) int {
	return cmp.Or(cmp.Compare(a.StartTime, b.StartTime), bytes.Compare(a.SpanID[:], b.SpanID[:]))
}

// Summarize makes what a list says of a trace with at least one span.
func Summarize(t *span.Trace) span.Summary {
	root := &t.Spans[0]
	s := span.Summary{TraceID: t.ID, StartTime: root.StartTime, SpanCount: len(t.Spans)}
	ids := make(map[span.SpanID]struct{}, len(t.Spans))
	at := map[string]int{}
	for i := range t.Spans {
		sp := &t.Spans[i]
		ids[sp.SpanID] = struct{}{}
		s.EndTime = max(s.EndTime, sp.EndTime)
		if sp.ParentSpanID.IsZero() && !s.HasRoot {
			s.HasRoot, root = true, sp
		}
		name := sp.ServiceName()
		n, ok := at[name]
		if !ok {
			n = len(s.Services)
			at[name] = n
			s.Services = append(s.Services, span.ServiceCount{Name: name})
		}
		s.Services[n].SpanCount++
		if sp.Status.Code == span.StatusError {
			s.Services[n].ErrorCount++
			s.ErrorCount++
		}
	}
	for i := range t.Spans {
		if p := t.Spans[i].ParentSpanID; !p.IsZero() {
			if _, ok := ids[p]; !ok {
				s.OrphanCount++
			}
		}
	}
	s.RootService, s.RootName, s.RootKind, s.RootStatus = root.ServiceName(), root.Name, root.Kind, root.Status.Code
	return s
}

func byService(a, b Service) int { return strings.Compare(a.Name, b.Name) }

func byOperation(a, b Operation) int {
	return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
}

// newestFirst sorts what was found, by id what begins at the same time, and cuts it
// to the limit.
func (f *Found) newestFirst(limit int) {
	slices.SortFunc(f.Traces, func(a, b Match) int {
		return cmp.Or(cmp.Compare(b.StartTime, a.StartTime), bytes.Compare(a.TraceID[:], b.TraceID[:]))
	})
	if len(f.Traces) > limit {
		f.Traces, f.Truncated = f.Traces[:limit], true
	}
}
