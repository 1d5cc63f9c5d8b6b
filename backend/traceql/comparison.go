package traceql

import (
	"cmp"
	"slices"
	"strings"
)

// comparison gathers compare(): how often each value of each attribute occurs in
// the spans of the selection, and in all others, the baseline.
type comparison struct {
	query                 *Metrics
	intervals             intervals
	rootName, rootService valueFunc
	attributes            map[Attribute]*attributeCounts
	bytes                 int64 // about what they take
}

// maxValues bounds what is remembered of an attribute. Values that come when there
// are so many count in the totals only.
const maxValues = 10_000

// The two halves of a comparison.
const (
	baseline = iota
	selection
)

var metaTypes = [...]string{"baseline", "selection"}

type attributeCounts struct {
	values [2]map[valueKey]*valueCount
	totals [2][]float64
}

type valueCount struct {
	value  Value
	counts []float64
	total  float64
}

func newComparison(m *metricsProgram, iv intervals) *comparison {
	return &comparison{
		query: m.query, intervals: iv, rootName: m.rootName, rootService: m.rootService,
		attributes: map[Attribute]*attributeCounts{},
	}
}

// within reports whether a span that starts then may belong to the selection.
func (c *comparison) within(start uint64) bool {
	return c.query.Start == 0 && c.query.End == 0 || uint64(c.query.Start) <= start && start < uint64(c.query.End)
}

func (c *comparison) observe(e *Evaluator, i, at int, selected bool, weight float64) {
	half := baseline
	if selected {
		half = selection
	}
	count := func(a Attribute, v Value) {
		if v.typ == TypeList {
			v = StringValue("nil") // which is no label
		}
		counts := c.attribute(a)
		counts.total(half, c.intervals.n)[at] += weight
		c.bytes += counts.add(half, v, c.intervals.n, func(n *valueCount) {
			n.counts[at] += weight
			n.total += weight
		})
	}
	var has uint
	for a, v := range e.trace.All(i) {
		if !v.IsNil() {
			count(a, v)
			has |= wellKnownBits[a]
		}
	}
	for k, a := range wellKnown {
		if has&(1<<k) == 0 {
			count(a, Nil)
		}
	}
	count(Attribute{Intrinsic: IntrinsicRootName}, c.rootName(e, i))
	count(Attribute{Intrinsic: IntrinsicRootService}, c.rootService(e, i))
}

func (c *comparison) attribute(a Attribute) *attributeCounts {
	counts, ok := c.attributes[a]
	if !ok {
		a.Name = strings.Clone(a.Name)
		c.bytes += 512 + 16*int64(c.intervals.n)
		counts = &attributeCounts{values: [2]map[valueKey]*valueCount{{}, {}}}
		c.attributes[a] = counts
	}
	return counts
}

func (a *attributeCounts) total(half, n int) []float64 {
	if a.totals[half] == nil {
		a.totals[half] = make([]float64, n)
	}
	return a.totals[half]
}

// add returns by how many bytes the counts have grown.
func (a *attributeCounts) add(half int, v Value, n int, to func(*valueCount)) (grown int64) {
	count, ok := a.values[half][keyOf(v)]
	if !ok {
		if len(a.values[half]) >= maxValues {
			return 0
		}
		count = &valueCount{value: v.Clone(), counts: make([]float64, n)}
		a.values[half][keyOf(count.value)] = count
		grown = 200 + int64(len(v.text)) + 8*int64(n)
	}
	to(count)
	return grown
}

func (c *comparison) merge(o *comparison) {
	n := c.intervals.n
	for a, from := range o.attributes {
		to := c.attribute(a)
		for half := range from.totals {
			for i, x := range from.totals[half] {
				to.total(half, n)[i] += x
			}
			for _, count := range from.values[half] {
				c.bytes += to.add(half, count.value, n, func(sum *valueCount) {
					for i, x := range count.counts {
						sum.counts[i] += x
					}
					sum.total += count.total
				})
			}
		}
	}
}

func (c *comparison) result() []Series {
	var out []Series
	series := func(counts []float64, labels ...Named) {
		s := Series{Labels: labels}
		for i, x := range counts {
			s.Samples = append(s.Samples, Sample{c.intervals.time(i), x})
		}
		out = append(out, s)
	}
	for a, counts := range c.attributes {
		for half, meta := range metaTypes {
			if counts.totals[half] == nil {
				continue
			}
			for _, v := range counts.top(half, c.query.TopN) {
				series(v.counts, Named{labelMetaType, StringValue(meta)}, Named{a.String(), v.value})
			}
			series(counts.totals[half], Named{labelMetaType, StringValue(meta + "_total")}, Named{a.String(), Nil})
		}
	}
	return out
}

// top is the most frequent values, of equally frequent ones the first in order.
func (a *attributeCounts) top(half, n int) []*valueCount {
	all := make([]*valueCount, 0, len(a.values[half]))
	for _, v := range a.values[half] {
		all = append(all, v)
	}
	slices.SortFunc(all, func(x, y *valueCount) int {
		return cmp.Or(cmp.Compare(y.total, x.total), compareValues(x.value, y.value), strings.Compare(x.value.Text(), y.value.Text()))
	})
	return all[:min(n, len(all))]
}
