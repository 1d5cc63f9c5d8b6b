package traceql

import (
	"slices"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// Holds reports whether one value of the attribute fulfils the condition; Nil is
// that of a span without one, or of an event or link.
func (c *Condition) Holds(v Value) bool {
	if c.Attribute.isService() {
		v = orEmpty(v)
	}
	switch {
	case c.Value.IsNil():
		return v.IsNil() == (c.Op == OpEqual)
	case c.Attribute.Intrinsic == IntrinsicNone:
		return holdsLiteral(c.Op, &v, &c.Value, c.Matcher)
	}
	return holds(c.Op, &v, &c.Value, c.Matcher)
}

// Clone is a copy that shares no memory with v.
func (v Value) Clone() Value {
	v.text = strings.Clone(v.text)
	if v.list != nil {
		var list span.Value
		if list.ReadProto(string(v.list.AppendProto(nil))) == nil {
			v.list = &list
		}
	}
	return v
}

// Bounds is the first and the last start, in unix nanoseconds, of spans that an
// accumulator counts.
func (a *Accumulator) Bounds() (first, last uint64) {
	iv := &a.intervals
	return iv.first - min(iv.first, iv.step-1), iv.time(iv.n - 1)
}

// Takes reports whether the function counts a value of its attribute.
func (a *Accumulator) Takes(v Value) bool {
	return v.typ.numeric() && (a.metrics.fn != HistogramOverTime || hasOctave(v))
}

// Group is the series of an accumulator that spans with the same values of by()
// belong to. It is for a store that judges spans by itself and knows of each what
// Observe would find out.
type Group struct {
	group
	from, to uint64 // the interval that the last span was in, as the next
	at       int
}

// Group returns the group of what by() has of a span, in its order; labels that are
// none, as arrays, are corrected in place, and copied. Asking for a group is
// observing a span in it: call it only when there is one, and, if the function has
// an attribute, one with a value that it Takes.
func (a *Accumulator) Group(labels []Value) (*Group, error) {
	a.key = a.key[:0]
	for i, v := range labels {
		if a.metrics.query.By[i].Attribute.isService() {
			labels[i] = orEmpty(v)
		}
	}
	a.metrics.arraysToLabels(labels)
	for _, v := range labels {
		a.key = appendKey(a.key, v)
	}
	if g, ok := a.groups[string(a.key)]; ok {
		return g, nil
	}
	return a.newGroup(string(a.key), cloned(labels))
}

// arraysToLabels makes labels of arrays, which are none, as Tempo does: the word
// nil, which unlike what is missing stays a label beside others.
func (m *metricsProgram) arraysToLabels(labels []Value) {
	for i, v := range labels {
		if v.typ != TypeList {
			continue
		}
		labels[i] = StringValue("nil")
		alone := m.fn != QuantileOverTime && m.fn != HistogramOverTime // whose series have a label of their own
		if alone && i == 0 && !slices.ContainsFunc(labels[1:], func(v Value) bool { return !v.IsNil() }) {
			labels[i] = Nil // which is that word when there is nothing else
		}
	}
}

// cloned are copies that stay when the trace that they are of does not.
func cloned(values []Value) []Value {
	out := make([]Value, len(values))
	for i, v := range values {
		out[i] = v.Clone()
	}
	return out
}

// Bounded is an error that wraps ErrTooLarge when the accumulator has grown beyond
// its bound. Observe looks by itself; who calls Add asks now and then.
func (a *Accumulator) Bounded() error { return a.bounded() }

// Add counts a span that starts at start, which lies within Bounds, with the value
// of the function's attribute, durations in nanoseconds, as many times as weight
// says. It reports whether the span is wanted as an exemplar, for AddExemplar.
func (a *Accumulator) Add(g *Group, start uint64, value, weight float64) (exemplar bool) {
	if start <= g.from || start > g.to {
		at := a.intervals.index(start)
		if at < 0 {
			return false
		}
		g.at, g.to = at, a.intervals.time(at)
		g.from = g.to - min(g.to, a.intervals.step)
	}
	a.bytes += int64(g.observe(a.metrics, g.at, value, weight))
	return a.exemplars != nil && a.wantsExemplar(g.at)
}

// AddExemplar adds the span of which Add said that it is wanted.
func (a *Accumulator) AddExemplar(g *Group, x Exemplar) {
	x.interval = g.at
	g.exemplars = append(g.exemplars, x)
}
