package storetest

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// Naive is the oracle: a list of spans, searched from end to end.
type Naive struct {
	traces map[span.TraceID]map[span.SpanID]span.Span
}

// Append keeps spans, of those with one id the one that the contract says.
func (n *Naive) Append(spans []span.Span) {
	if n.traces == nil {
		n.traces = map[span.TraceID]map[span.SpanID]span.Span{}
	}
	for _, s := range spans {
		t := n.traces[s.TraceID]
		if t == nil {
			t = map[span.SpanID]span.Span{}
			n.traces[s.TraceID] = t
		}
		if held, ok := t[s.SpanID]; !ok || rank(&s, &held) > 0 {
			t[s.SpanID] = s
		}
	}
}

func rank(a, b *span.Span) int {
	x, y := a.AppendProto(nil), b.AppendProto(nil)
	return cmp.Or(cmp.Compare(a.EndTime, b.EndTime), cmp.Compare(len(x), len(y)), bytes.Compare(x, y))
}

// IDs lists the traces.
func (n *Naive) IDs() []span.TraceID {
	var ids []span.TraceID
	for id := range n.traces {
		ids = append(ids, id)
	}
	return ids
}

// Spans counts the spans.
func (n *Naive) Spans() int {
	total := 0
	for _, t := range n.traces {
		total += len(t)
	}
	return total
}

// Trace returns a trace with its spans by start time and id.
func (n *Naive) Trace(id span.TraceID) *span.Trace {
	out := &span.Trace{ID: id}
	for _, s := range n.traces[id] {
		out.Spans = append(out.Spans, s)
	}
	slices.SortFunc(out.Spans, func(a, b span.Span) int {
		return cmp.Or(cmp.Compare(a.StartTime, b.StartTime), bytes.Compare(a.SpanID[:], b.SpanID[:]))
	})
	return out
}

// Search finds what fits, newest first. Traces that start at the same time have
// no order here: the generator makes none.
func (n *Naive) Search(f *store.Filter) store.Found {
	var found store.Found
	for id := range n.traces {
		t := n.Trace(id)
		s := Summarize(t.Spans)
		if f.Start != 0 && s.EndTime < f.Start || f.End != 0 && s.StartTime > f.End {
			continue
		}
		if slices.ContainsFunc(t.Spans, func(sp span.Span) bool { return fits(f, &sp) }) {
			found.Traces = append(found.Traces, s)
		}
	}
	slices.SortFunc(found.Traces, func(a, b span.Summary) int { return cmp.Compare(b.StartTime, a.StartTime) })
	if f.Limit > 0 && len(found.Traces) > f.Limit {
		found.Traces, found.Truncated = found.Traces[:f.Limit], true
	}
	return found
}

func fits(f *store.Filter, s *span.Span) bool {
	if f.Service != nil && *f.Service != s.ServiceName() ||
		f.Name != nil && *f.Name != s.Name ||
		f.Kind != nil && *f.Kind != s.Kind ||
		f.Status != nil && *f.Status != s.Status.Code ||
		s.Duration() < f.MinDuration ||
		f.MaxDuration != 0 && s.Duration() > f.MaxDuration ||
		s.StartTime < f.StartMin || f.StartMax != 0 && s.StartTime > f.StartMax {
		return false
	}
	for _, a := range f.Attributes {
		both := slices.Concat(s.Attributes, s.Resource.Attributes)
		if !slices.ContainsFunc(both, func(b span.Attribute) bool { return a.Key == b.Key && a.Value == b.Value.Text() }) {
			return false
		}
	}
	return f.Where == nil || f.Where(s)
}

// Summarize is what [span.Summary] says, computed in the obvious way.
func Summarize(spans []span.Span) span.Summary {
	first := slices.MinFunc(spans, earlier)
	s := span.Summary{TraceID: first.TraceID, StartTime: first.StartTime, SpanCount: len(spans)}
	root, ids := first, map[span.SpanID]bool{}
	services := map[string]*span.ServiceCount{}
	starts := map[string]uint64{}
	for i := range spans {
		sp := &spans[i]
		ids[sp.SpanID] = true
		s.EndTime = max(s.EndTime, sp.EndTime)
		if sp.ParentSpanID.IsZero() && (!s.HasRoot || earlier(*sp, root) < 0) {
			s.HasRoot, root = true, *sp
		}
		c := services[sp.ServiceName()]
		if c == nil {
			c = &span.ServiceCount{Name: sp.ServiceName()}
			services[c.Name], starts[c.Name] = c, sp.StartTime
		}
		starts[c.Name] = min(starts[c.Name], sp.StartTime)
		c.SpanCount++
		if sp.Status.Code == span.StatusError {
			c.ErrorCount++
			s.ErrorCount++
		}
	}
	for i := range spans {
		if p := spans[i].ParentSpanID; !p.IsZero() && !ids[p] {
			s.OrphanCount++
		}
	}
	s.RootService, s.RootName, s.RootKind, s.RootStatus = root.ServiceName(), root.Name, root.Kind, root.Status.Code
	for _, c := range services {
		s.Services = append(s.Services, *c)
	}
	slices.SortFunc(s.Services, func(a, b span.ServiceCount) int {
		return cmp.Or(cmp.Compare(starts[a.Name], starts[b.Name]), strings.Compare(a.Name, b.Name))
	})
	return s
}

func earlier(a, b span.Span) int {
	return cmp.Or(cmp.Compare(a.StartTime, b.StartTime), bytes.Compare(a.SpanID[:], b.SpanID[:]))
}

// Services counts by service.
func (n *Naive) Services() []store.Service {
	counts := map[string]*store.Service{}
	for _, op := range n.Operations(nil) {
		s := counts[op.Service]
		if s == nil {
			s = &store.Service{Name: op.Service}
			counts[op.Service] = s
		}
		s.SpanCount += op.SpanCount
		s.ErrorCount += op.ErrorCount
	}
	var list []store.Service
	for _, s := range counts {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b store.Service) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Operations counts by service, name and kind.
func (n *Naive) Operations(service *string) []store.Operation {
	counts := map[store.Operation]*store.Operation{}
	for _, t := range n.traces {
		for _, s := range t {
			key := store.Operation{Service: s.ServiceName(), Name: s.Name, Kind: s.Kind}
			if service != nil && *service != key.Service {
				continue
			}
			op := counts[key]
			if op == nil {
				op = &store.Operation{Service: key.Service, Name: key.Name, Kind: key.Kind}
				counts[key] = op
			}
			op.SpanCount++
			if s.Status.Code == span.StatusError {
				op.ErrorCount++
			}
		}
	}
	var list []store.Operation
	for _, op := range counts {
		list = append(list, *op)
	}
	slices.SortFunc(list, func(a, b store.Operation) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// Durations is the sketch of every operation with one status.
func (n *Naive) Durations() map[Operation]*store.Sketch {
	all := map[Operation]*store.Sketch{}
	for _, t := range n.traces {
		for _, s := range t {
			key := Operation{s.ServiceName(), s.Name, s.Kind, s.Status.Code}
			if all[key] == nil {
				all[key] = &store.Sketch{}
			}
			all[key].Add(uint64(s.Duration()), s.Count())
		}
	}
	return all
}

// Operation is what durations are counted by.
type Operation struct {
	Service, Name string
	Kind          span.Kind
	Status        span.StatusCode
}

// Dependencies counts calls between services.
func (n *Naive) Dependencies(start, end uint64) []store.Dependency {
	type edge struct{ parent, child string }
	counts := map[edge]*store.Dependency{}
	for id, t := range n.traces {
		s := Summarize(n.Trace(id).Spans)
		if start != 0 && s.EndTime < start || end != 0 && s.StartTime > end {
			continue
		}
		for _, sp := range t {
			parent, ok := t[sp.ParentSpanID]
			if !ok {
				continue
			}
			key := edge{parent.ServiceName(), sp.ServiceName()}
			if counts[key] == nil {
				counts[key] = &store.Dependency{Parent: key.parent, Child: key.child}
			}
			counts[key].CallCount += int(sp.Count())
			if sp.Status.Code == span.StatusError {
				counts[key].ErrorCount += int(sp.Count())
			}
		}
	}
	var list []store.Dependency
	for _, d := range counts {
		list = append(list, *d)
	}
	slices.SortFunc(list, func(a, b store.Dependency) int {
		return cmp.Or(strings.Compare(a.Parent, b.Parent), strings.Compare(a.Child, b.Child))
	})
	return list
}
