package traceql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// Range is what a metrics query covers.
type Range struct {
	Start, End uint64 // unix nanoseconds
	// Step is the time between two samples in nanoseconds; 0 makes one sample of
	// the whole, an instant query.
	Step uint64
}

// MetricsOptions bound and tune the answer of a metrics query. A zero field means
// its default.
type MetricsOptions struct {
	// MaxSeries is how many series may come to be, 10,000 by default.
	MaxSeries int
	// MaxBytes is about how much memory an accumulator takes at most, 256 MiB by
	// default.
	MaxBytes int64
	// MaxExemplars is about how many exemplars the answer has at most, spread evenly
	// over its time; none by default.
	MaxExemplars int
	// Weighted counts a span that was sampled with a probability (tracestate
	// ot=th) as many times as it stands for, see [span.Span.Count]. Tempo's API
	// counts each once.
	Weighted bool
}

// maxIntervals bounds the samples of a series, as Prometheus does.
const maxIntervals = 11_000

// ErrTooManySeries, ErrTooManySamples and ErrTooLarge are wrapped by errors about
// the bounds.
var (
	ErrTooManySeries  = errors.New("too many series")
	ErrTooManySamples = errors.New("too many samples in a series")
	ErrTooLarge       = errors.New("answer is too large")
)

// intervals divides a range. A span belongs to the interval that its start time
// lies in; an interval includes its end but not its start, and its sample has the
// time of its end. Ends are multiples of the step, and the first is not after the
// start of the range.
type intervals struct {
	first   uint64 // the end of the first interval
	step    uint64
	instant bool
	n       int
}

func newIntervals(r Range) (intervals, error) {
	if r.End <= r.Start {
		return intervals{}, fmt.Errorf("range ends at %d, not after its start %d", r.End, r.Start)
	}
	if r.Step == 0 {
		return intervals{r.End, r.End - r.Start, true, 1}, nil
	}
	first := r.Start - r.Start%r.Step
	n := (r.End - first + r.Step - 1) / r.Step
	if n >= maxIntervals {
		return intervals{}, fmt.Errorf("%w: %d, the limit is %d; choose a longer step", ErrTooManySamples, n+1, maxIntervals)
	}
	return intervals{first, r.Step, false, int(n) + 1}, nil
}

// index is the interval of a time, -1 outside of the range.
func (iv *intervals) index(t uint64) int {
	if t <= iv.first {
		if iv.first-t < iv.step {
			return 0
		}
		return -1
	}
	if i := (t - iv.first + iv.step - 1) / iv.step; i < uint64(iv.n) {
		return int(i)
	}
	return -1
}

// time is when the sample of an interval is, in unix nanoseconds.
func (iv *intervals) time(i int) uint64 { return iv.first + uint64(i)*iv.step }

// seconds is the length of an interval.
func (iv *intervals) seconds() float64 { return float64(iv.step) / 1e9 }

// metricsProgram is a compiled metrics function.
type metricsProgram struct {
	fn        MetricsFunc
	quantiles []float64
	field     valueFunc // nil for rate, count_over_time and compare
	by        []valueFunc
	names     []string
	perUnit   float64 // how many of the field's values make one of a sample: 1e9 ns a second
	query     *Metrics

	// Of compare.
	selection             boolFunc
	rootName, rootService valueFunc
}

func (c *compiler) metrics(m *Metrics) *metricsProgram {
	p := &metricsProgram{fn: m.Func, quantiles: m.Quantiles, perUnit: 1, query: m}
	if m.Field != nil {
		p.perUnit = perUnit(m)
		p.field = c.field(m.Field.Attribute)
	}
	for i := range m.By {
		p.by = append(p.by, c.grouped(&m.By[i]))
		p.names = append(p.names, m.By[i].Attribute.String())
	}
	if m.Selection != nil {
		p.selection = func(*Evaluator, int) bool { return true }
		if m.Selection.Expr != nil {
			p.selection = c.boolean(m.Selection.Expr)
		}
		p.rootName = c.field(Attribute{Intrinsic: IntrinsicRootName})
		p.rootService = c.field(Attribute{Intrinsic: IntrinsicRootService})
	}
	return p
}

// perUnit is how many nanoseconds a sample counts by. As in Tempo, the functions
// whose samples are values have seconds only of the span's own duration.
func perUnit(m *Metrics) float64 {
	switch {
	case m.Field.Type() != TypeDuration:
		return 1
	case m.Field.Intrinsic == IntrinsicDuration, m.Func == QuantileOverTime, m.Func == HistogramOverTime:
		return 1e9
	}
	return 1
}

// Accumulator gathers what a metrics query says of traces. One goroutine may use
// it at a time; several, for parts of a store, are joined by Merge.
type Accumulator struct {
	program   *Program
	metrics   *metricsProgram
	intervals intervals
	options   MetricsOptions

	groups    map[string]*Group
	comparing *comparison
	exemplars []int // how many there are in each interval
	bytes     int64
	key       []byte
	labels    []Value
}

// group is the aggregates of one combination of by() values, one for each interval.
type group struct {
	labels    []Value
	counts    []float64 // of rate and count_over_time the result, of avg the divisor
	values    []float64 // of min, max, sum and avg; NaN where no value was
	sketches  []sketch
	octaves   []map[int]float64 // of histogram: how many values up to each power of two
	exemplars []Exemplar
}

// NewAccumulator begins a metrics query. It is an error if the program is none, or
// if the range has too many samples.
func (p *Program) NewAccumulator(r Range, o MetricsOptions) (*Accumulator, error) {
	if p.metrics == nil {
		return nil, errors.New("query has no metrics function, as rate()")
	}
	iv, err := newIntervals(r)
	if err != nil {
		return nil, err
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = 10_000
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	a := &Accumulator{program: p, metrics: p.metrics, intervals: iv, options: o, groups: map[string]*Group{}}
	if o.MaxExemplars > 0 {
		a.exemplars = make([]int, iv.n)
	}
	if p.metrics.fn == Compare {
		a.comparing = newComparison(p.metrics, iv)
	}
	return a, nil
}

// Weighter is a [Trace] that knows how many spans each of its spans stands for.
type Weighter interface {
	Weight(i int) float64
}

// Weight implements [Weighter] by whole numbers, whose sums are exact in any order.
func (v *View) Weight(i int) float64 { return float64(v.trace.Spans[i].Count()) }

// Observe adds the spans that the query selects of a trace. The evaluator must be
// one of the same program.
func (a *Accumulator) Observe(e *Evaluator, t Trace) error {
	weigh, _ := t.(Weighter)
	if !a.options.Weighted {
		weigh = nil
	}
	for _, set := range e.Search(t) {
		for _, i := range set.Spans {
			start, _ := t.Times(int(i))
			at := a.intervals.index(start)
			if at < 0 {
				continue
			}
			weight := 1.0
			if weigh != nil {
				weight = weigh.Weight(int(i))
			}
			if a.comparing != nil {
				selected := a.comparing.within(start) && a.metrics.selection(e, int(i))
				a.comparing.observe(e, int(i), at, selected, weight)
				if err := a.bounded(); err != nil {
					return err
				}
				continue
			}
			if err := a.observe(e, int(i), at, weight); err != nil {
				return err
			}
		}
	}
	return a.bounded()
}

func (a *Accumulator) observe(e *Evaluator, i, at int, weight float64) error {
	value := math.NaN()
	if a.metrics.field != nil {
		v := a.metrics.field(e, i)
		if !v.typ.numeric() {
			return nil
		}
		value, _ = v.Number()
		if a.metrics.fn == HistogramOverTime && !hasOctave(v) {
			return nil
		}
	}
	g, err := a.group(e, i)
	if err != nil {
		return err
	}
	a.bytes += int64(g.observe(a.metrics, at, value, weight))
	if a.exemplars != nil && a.wantsExemplar(at) {
		start, _ := e.trace.Times(i)
		g.exemplars = append(g.exemplars, Exemplar{TraceID: e.trace.TraceID(), SpanID: e.trace.SpanID(i), Time: start, Value: value, interval: at})
	}
	return nil
}

// wantsExemplar spreads the exemplars over the intervals.
func (a *Accumulator) wantsExemplar(at int) bool {
	if a.exemplars[at] >= max(1, a.options.MaxExemplars/a.intervals.n) {
		return false
	}
	a.exemplars[at]++
	return true
}

// group finds the group of a span by the values of by().
func (a *Accumulator) group(e *Evaluator, i int) (*Group, error) {
	a.key, a.labels = a.key[:0], a.labels[:0]
	for _, by := range a.metrics.by {
		a.labels = append(a.labels, by(e, i))
	}
	a.metrics.arraysToLabels(a.labels)
	for _, v := range a.labels {
		a.key = appendKey(a.key, v)
	}
	if g, ok := a.groups[string(a.key)]; ok {
		return g, nil
	}
	return a.newGroup(string(a.key), cloned(a.labels))
}

func (a *Accumulator) newGroup(key string, labels []Value) (*Group, error) {
	if len(a.groups) >= a.options.MaxSeries {
		return nil, fmt.Errorf("%w: more than %d; narrow the filter or group by an attribute with fewer values", ErrTooManySeries, a.options.MaxSeries)
	}
	// A sample takes as much as its place; what a sketch grows to comes later.
	size := int64(8)
	switch a.metrics.fn {
	case AvgOverTime:
		size = 16
	case QuantileOverTime:
		size = int64(unsafe.Sizeof(sketch{}))
	}
	a.bytes += 512 + int64(2*len(key)) + size*int64(a.intervals.n)
	if err := a.bounded(); err != nil {
		return nil, err
	}
	g := &Group{group: group{labels: labels}}
	switch n := a.intervals.n; a.metrics.fn {
	case Rate, CountOverTime:
		g.counts = make([]float64, n)
	case AvgOverTime:
		g.counts = make([]float64, n)
		g.values = make([]float64, n)
	case QuantileOverTime:
		g.sketches = make([]sketch, n)
	case HistogramOverTime:
		g.octaves = make([]map[int]float64, n)
	default:
		g.values = make([]float64, n)
		for i := range g.values {
			g.values[i] = math.NaN()
		}
	}
	a.groups[key] = g
	return g, nil
}

// bounded is an error when there is more than the bound on memory.
func (a *Accumulator) bounded() error {
	bytes := a.bytes
	if a.comparing != nil {
		bytes += a.comparing.bytes
	}
	if bytes > a.options.MaxBytes {
		return fmt.Errorf("%w: more than %d MiB; narrow the filter, choose a longer step, or group by an attribute with fewer values", ErrTooLarge, a.options.MaxBytes>>20)
	}
	return nil
}

// appendKey appends what tells a value from any other.
func appendKey(key []byte, v Value) []byte {
	k := keyOf(v)
	key = append(key, byte(k.typ))
	key = binary.BigEndian.AppendUint64(key, k.num)
	key = binary.AppendUvarint(key, uint64(len(k.text)))
	return append(key, k.text...)
}

// observe returns by how many bytes the group has grown.
func (g *group) observe(m *metricsProgram, at int, value, weight float64) (grown int) {
	switch m.fn {
	case Rate, CountOverTime:
		g.counts[at] += weight
	case AvgOverTime:
		g.counts[at] += weight
		g.values[at] += value * weight
	case QuantileOverTime:
		return g.sketches[at].add(value, weight)
	case HistogramOverTime:
		if g.octaves[at] == nil {
			g.octaves[at] = map[int]float64{}
		}
		n := len(g.octaves[at])
		g.octaves[at][octave(value)] += weight
		return 48 * (len(g.octaves[at]) - n)
	default:
		g.values[at] = combine(m.fn, g.values[at], value, weight)
	}
	return 0
}

// combine joins two values of min, max or sum, where NaN is none.
func combine(fn MetricsFunc, a, b, weight float64) float64 {
	if fn == SumOverTime {
		b *= weight
	}
	switch {
	case math.IsNaN(a):
		return b
	case math.IsNaN(b):
		return a
	case fn == MinOverTime:
		return min(a, b)
	case fn == MaxOverTime:
		return max(a, b)
	}
	return a + b
}

// Merge adds what another accumulator of the same query and range has gathered.
// The other is not to be used any more.
func (a *Accumulator) Merge(o *Accumulator) error {
	if a.comparing != nil {
		a.comparing.merge(o.comparing)
		return nil
	}
	for key, from := range o.groups {
		to, ok := a.groups[key]
		if !ok && a.options.MaxExemplars == 0 && len(a.groups) < a.options.MaxSeries {
			a.groups[key] = from
			continue
		}
		if !ok {
			var err error
			if to, err = a.newGroup(key, from.labels); err != nil {
				return err
			}
		}
		for i := range from.counts {
			to.counts[i] += from.counts[i]
		}
		for i := range from.values {
			if a.metrics.fn == AvgOverTime {
				to.values[i] += from.values[i]
			} else {
				to.values[i] = combine(a.metrics.fn, to.values[i], from.values[i], 1)
			}
		}
		for i := range from.sketches {
			to.sketches[i].merge(&from.sketches[i])
		}
		for i, octaves := range from.octaves {
			if to.octaves[i] == nil {
				to.octaves[i] = octaves
				continue
			}
			for k, n := range octaves {
				to.octaves[i][k] += n
			}
		}
		for _, x := range from.exemplars {
			if a.wantsExemplar(x.interval) {
				to.exemplars = append(to.exemplars, x)
			}
		}
	}
	return nil
}
