package store

import (
	"context"
	"slices"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// fits decides about a trace under the lock, by its entries. When that depends on
// what only the encoded spans say, those are returned to be decided by
// [query.decide] without the lock.
func (t *trace) fits(f *Filter) (ok bool, undecided []held) {
	switch {
	case t.end < max(f.Start, f.StartMin), f.latest() != 0 && t.start > f.latest():
		return false, nil
	case f.Status != nil && *f.Status == span.StatusError && t.errors == 0:
		return false, nil
	case uint64(f.MinDuration) > t.maxDuration:
		return false, nil
	}
	byOperation := f.Service != nil || f.Name != nil || f.Kind != nil
	byEntry := f.Status != nil || f.MinDuration > 0 || f.MaxDuration > 0 || f.StartMin > 0 || f.StartMax > 0
	byContent := len(f.Attributes) > 0 || f.Where != nil
	operations := make([]bool, len(t.ops.list))
	some := false
	for i, op := range t.ops.list {
		if t.stats[i].spans > 0 && (!byOperation || f.operation(op)) {
			operations[i], some = true, true
		}
	}
	if !some || !byEntry && !byContent {
		return some, nil
	}
	for i := range t.entries {
		e := &t.entries[i]
		if !operations[e.op] || !f.entry(e) {
			continue
		}
		if !byContent {
			return true, nil
		}
		undecided = append(undecided, held{t.data(e), t.origins.list[e.origin]})
	}
	return false, undecided
}

func (f *Filter) operation(op *operation) bool {
	return (f.Service == nil || *f.Service == op.service.name) &&
		(f.Name == nil || *f.Name == op.name) &&
		(f.Kind == nil || *f.Kind == op.kind)
}

func (f *Filter) entry(e *entry) bool {
	d := e.end - e.start
	return (f.Status == nil || *f.Status == e.status) &&
		d >= uint64(f.MinDuration) &&
		(f.MaxDuration == 0 || d <= uint64(f.MaxDuration)) &&
		e.start >= f.StartMin && (f.StartMax == 0 || e.start <= f.StartMax)
}

// latest is the last start of a trace that may fit, 0 when there is no bound.
func (f *Filter) latest() uint64 {
	if f.End == 0 || f.StartMax != 0 && f.StartMax < f.End {
		return f.StartMax
	}
	return f.End
}

// query is a filter made ready for many spans.
type query struct {
	*Filter
	needles [][]string // of Attributes; see span.Needles
}

func newQuery(f *Filter) *query {
	q := &query{Filter: f}
	for _, a := range f.Attributes {
		q.needles = append(q.needles, span.Needles(a.Key, a.Value))
	}
	return q
}

// decide reports whether one of the spans fits the attributes and Where.
func (f *query) decide(ctx context.Context, spans []held) (bool, error) {
	var s span.Span
	for i := range spans {
		if i%256 == 255 {
			if err := ctx.Err(); err != nil {
				return false, err
			}
		}
		h := &spans[i]
		if !f.mayHave(h) {
			continue
		}
		s.Resource, s.Scope = h.origin.resource.value, h.origin.scope
		if err := s.ReadProto(h.data); err != nil {
			return false, err
		}
		if f.has(&s) && (f.Where == nil || f.Where(&s)) {
			return true, nil
		}
	}
	return false, nil
}

// mayHave rules out the spans in whose bytes an attribute cannot be, unless their
// resource has it.
func (f *query) mayHave(h *held) bool {
	for i, a := range f.Attributes {
		if f.needles[i] == nil || hasText(h.origin.resource.value.Attributes, a) {
			continue
		}
		if !slices.ContainsFunc(f.needles[i], func(n string) bool { return strings.Contains(h.data, n) }) {
			return false
		}
	}
	return true
}

func (f *Filter) has(s *span.Span) bool {
	for _, a := range f.Attributes {
		if !hasText(s.Attributes, a) && !hasText(s.Resource.Attributes, a) {
			return false
		}
	}
	return true
}

func hasText(attributes []span.Attribute, want AttributeFilter) bool {
	for i := range attributes {
		if attributes[i].Key == want.Key && attributes[i].Value.Text() == want.Value {
			return true
		}
	}
	return false
}
