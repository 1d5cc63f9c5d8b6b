package traceql

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// Series is one line of a metrics answer.
type Series struct {
	Labels    []Named
	Samples   []Sample // by time
	Exemplars []Exemplar
}

// Sample is a value at a time.
type Sample struct {
	Time  uint64 // unix nanoseconds
	Value float64
}

// Exemplar is a span that went into a series.
type Exemplar struct {
	TraceID span.TraceID
	SpanID  span.SpanID
	Time    uint64 // unix nanoseconds
	// Value is that of the span's attribute, of functions that count that of the
	// sample it went into.
	Value float64

	interval int
}

// Labels that series have beside those of by().
const (
	labelName     = "__name__"
	labelBucket   = "__bucket"
	labelQuantile = "p"
	labelMetaType = "__meta_type"
)

// Result makes the series, in the order of their labels.
func (a *Accumulator) Result() []Series {
	var out []Series
	if a.comparing != nil {
		out = a.comparing.result()
	} else {
		if fn := a.metrics.fn; len(a.groups) == 0 && len(a.metrics.by) == 0 && (fn == Rate || fn == CountOverTime) {
			// No spans are none, and not no answer.
			out = a.append(out, &Group{group: group{counts: make([]float64, a.intervals.n)}})
		}
		for _, key := range slices.Sorted(maps.Keys(a.groups)) {
			out = a.append(out, a.groups[key])
		}
	}
	for _, stage := range a.program.query.Stages {
		switch s := stage.(type) {
		case *TopK:
			out = s.apply(out)
		case *MetricsFilter:
			out = s.apply(out)
		}
	}
	slices.SortFunc(out, func(a, b Series) int { return slices.CompareFunc(a.Labels, b.Labels, compareNamed) })
	return out
}

func compareNamed(a, b Named) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return compareValues(a.Value, b.Value)
}

// compareValues is an order of all values: numbers by size, others by their text.
func compareValues(a, b Value) int {
	x, ok1 := a.Number()
	y, ok2 := b.Number()
	if ok1 && ok2 {
		return cmp.Compare(x, y)
	}
	return cmp.Or(cmp.Compare(a.typ, b.typ), strings.Compare(a.Text(), b.Text()))
}

// append makes the series of a group: one, or one for each quantile or bucket.
func (a *Accumulator) append(out []Series, g *Group) []Series {
	var labels []Named
	for i, v := range g.labels {
		if !v.IsNil() || a.metrics.query.By[i].wellKnown() {
			labels = append(labels, Named{a.metrics.names[i], v})
		}
	}
	switch a.metrics.fn {
	case QuantileOverTime:
		n := len(a.metrics.quantiles)
		values := make([]float64, n*a.intervals.n)
		for i := range g.sketches {
			g.sketches[i].quantiles(a.metrics.quantiles, values[i*n:][:n])
		}
		for k, q := range a.metrics.quantiles {
			s := a.series(append(slices.Clip(labels), Named{labelQuantile, FloatValue(q)}), func(i int) float64 {
				return values[i*n+k] / a.metrics.perUnit
			})
			if k == 0 {
				s.Exemplars = a.exemplarsOf(g.exemplars)
			}
			out = append(out, s)
		}
		return out
	case HistogramOverTime:
		buckets := map[int]bool{}
		for _, m := range g.octaves {
			for b := range m {
				buckets[b] = true
			}
		}
		for _, b := range slices.Sorted(maps.Keys(buckets)) {
			bucket := Named{labelBucket, FloatValue(math.Ldexp(1, b) / a.metrics.perUnit)}
			s := a.series(append(slices.Clip(labels), bucket), func(i int) float64 { return g.octaves[i][b] })
			for _, x := range g.exemplars {
				if octave(x.Value) == b {
					x.Value = g.octaves[x.interval][b]
					s.Exemplars = append(s.Exemplars, x)
				}
			}
			out = append(out, s)
		}
		return out
	}
	switch {
	case len(labels) > 0:
	case len(g.labels) > 0: // what is missing is no label, but a series has one
		labels = []Named{{a.metrics.names[0], Nil}}
	default:
		labels = []Named{{labelName, StringValue(a.metrics.fn.String())}}
	}
	s := a.series(labels, func(i int) float64 {
		switch a.metrics.fn {
		case Rate:
			return g.counts[i] * (1 / a.intervals.seconds())
		case CountOverTime:
			return g.counts[i]
		case AvgOverTime:
			return g.values[i] / g.counts[i] / a.metrics.perUnit
		}
		return g.values[i] / a.metrics.perUnit
	})
	s.Exemplars = a.exemplarsOf(g.exemplars)
	if fn := a.metrics.fn; fn == Rate || fn == CountOverTime {
		for k := range s.Exemplars {
			s.Exemplars[k].Value = s.Samples[s.Exemplars[k].interval].Value
		}
	}
	return append(out, s)
}

// series makes a series of the value of every interval, NaN where there is none.
func (a *Accumulator) series(labels []Named, value func(i int) float64) Series {
	s := Series{Labels: labels}
	for i := range a.intervals.n {
		if v := value(i); !math.IsNaN(v) {
			s.Samples = append(s.Samples, Sample{a.intervals.time(i), v})
		}
	}
	return s
}

// exemplarsOf gives exemplars their values in the unit of samples.
func (a *Accumulator) exemplarsOf(in []Exemplar) []Exemplar {
	out := slices.Clone(in)
	for i := range out {
		out[i].Value /= a.metrics.perUnit
	}
	return out
}

// hasOctave reports whether a histogram counts a value. As Tempo's, it leaves out
// integers and durations (in nanoseconds) below 2.
func hasOctave(v Value) bool {
	f, _ := v.Number()
	return f > 0 && (f >= 2 || v.typ == TypeFloat)
}

// octave is the power of two that a value is counted up to.
func octave(v float64) int {
	fraction, exponent := math.Frexp(v)
	if fraction == 0.5 {
		return exponent - 1
	}
	return exponent
}

// apply keeps the samples that hold, and the series that have any.
func (f *MetricsFilter) apply(in []Series) []Series {
	limit := seconds(f.Value)
	var out []Series
	for _, s := range in {
		s.Samples = slices.DeleteFunc(s.Samples, func(x Sample) bool {
			l, r := FloatValue(x.Value), FloatValue(limit)
			return !numberHolds(f.Op, &l, &r)
		})
		if len(s.Samples) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// apply keeps the greatest or smallest samples of every time. Of equal ones, topk
// prefers the series whose labels come first, bottomk those whose come last.
func (t *TopK) apply(in []Series) []Series {
	slices.SortStableFunc(in, func(a, b Series) int { return slices.CompareFunc(a.Labels, b.Labels, compareNamed) })
	type place struct {
		series int
		value  float64
	}
	at := map[uint64][]place{}
	for i, s := range in {
		for _, x := range s.Samples {
			at[x.Time] = append(at[x.Time], place{i, x.Value})
		}
	}
	kept := make([]map[uint64]bool, len(in))
	for time, places := range at {
		slices.SortFunc(places, func(a, b place) int {
			if t.Bottom {
				a, b = b, a
			}
			return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.series, b.series))
		})
		for _, p := range places[:min(t.N, len(places))] {
			if kept[p.series] == nil {
				kept[p.series] = map[uint64]bool{}
			}
			kept[p.series][time] = true
		}
	}
	var out []Series
	for i, s := range in {
		if kept[i] == nil {
			continue
		}
		s.Samples = slices.DeleteFunc(s.Samples, func(x Sample) bool { return !kept[i][x.Time] })
		out = append(out, s)
	}
	return out
}
