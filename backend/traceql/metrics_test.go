package traceql

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// metricsOracle computes a metrics query from a list of all values.
func metricsOracle(q *Query, traces []*span.Trace, r Range) map[string]map[uint64]float64 {
	type key struct {
		labels string
		at     uint64
	}
	values := map[key][]float64{}
	perUnit := 1.0
	if f := q.Metrics.Field; f != nil && (f.Intrinsic == IntrinsicDuration ||
		f.Type() == TypeDuration && (q.Metrics.Func == QuantileOverTime || q.Metrics.Func == HistogramOverTime)) {
		perUnit = 1e9
	}
	for _, tr := range traces {
		o := oracle{Trace: tr}
		for _, set := range o.search(q) {
			for _, i := range set.spans {
				at := uint64(math.Ceil(float64(tr.Spans[i].StartTime)/float64(r.Step))) * r.Step
				if at < r.Start || at > r.End {
					continue
				}
				labels := ""
				for _, by := range q.Metrics.By {
					v := o.grouped(&by, i)
					if fn := q.Metrics.Func; v.typ == TypeList && (len(q.Metrics.By) > 1 || fn == QuantileOverTime || fn == HistogramOverTime) {
						v = StringValue("nil") // but of the first of several, if the rest is missing
					}
					if v.typ != TypeList && !v.IsNil() {
						labels += fmt.Sprintf("%s=%s %v;", by.Attribute, v.typ, v)
					}
				}
				if fn := q.Metrics.Func; labels == "" && len(q.Metrics.By) > 0 && fn != QuantileOverTime && fn != HistogramOverTime {
					labels = fmt.Sprintf("%s=%s %v;", q.Metrics.By[0].Attribute, TypeNil, Nil)
				}
				value := 1.0
				if q.Metrics.Field != nil {
					var ok bool
					if value, ok = o.value(q.Metrics.Field, i).Number(); !ok {
						continue
					}
					if float := o.value(q.Metrics.Field, i).typ == TypeFloat; q.Metrics.Func == HistogramOverTime && (value <= 0 || value < 2 && !float) {
						continue
					}
				}
				values[key{labels, at}] = append(values[key{labels, at}], value)
			}
		}
	}
	out := map[string]map[uint64]float64{}
	set := func(labels string, at uint64, v float64) {
		if out[labels] == nil {
			out[labels] = map[uint64]float64{}
		}
		out[labels][at] = v
	}
	for k, all := range values {
		sum := 0.0
		for _, v := range all {
			sum += v
		}
		switch q.Metrics.Func {
		case Rate:
			set(k.labels, k.at, sum/(float64(r.Step)/1e9))
		case CountOverTime:
			set(k.labels, k.at, sum)
		case SumOverTime:
			set(k.labels, k.at, sum/perUnit)
		case AvgOverTime:
			set(k.labels, k.at, sum/float64(len(all))/perUnit)
		case MinOverTime:
			set(k.labels, k.at, slices.Min(all)/perUnit)
		case MaxOverTime:
			set(k.labels, k.at, slices.Max(all)/perUnit)
		case QuantileOverTime:
			sort.Float64s(all)
			for _, p := range q.Metrics.Quantiles {
				set(k.labels+fmt.Sprintf("p=float %v;", FloatValue(p)), k.at, all[max(0, int(math.Ceil(p*float64(len(all))))-1)]/perUnit)
			}
		case HistogramOverTime:
			for _, v := range all {
				bucket := math.Ldexp(1, -40)
				for bucket < v {
					bucket *= 2
				}
				label := k.labels + fmt.Sprintf("__bucket=float %v;", FloatValue(bucket/perUnit))
				set(label, k.at, out[label][k.at]+1)
			}
		}
	}
	return out
}

// Several accumulators, merged in any order, say what the oracle says.
func TestMetricsEqualOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	g := generator{r}
	rng := Range{testStart, testStart + 13*testStep, testStep}
	nonEmpty := 0
	for range rounds(t) / 20 {
		q, err := Parse(g.metrics())
		if err != nil {
			continue
		}
		var traces []*span.Trace
		for range 1 + r.IntN(20) {
			traces = append(traces, randomTrace(r, 30))
		}
		p := Compile(q)
		var parts []*Accumulator
		for range 3 {
			a, err := p.NewAccumulator(rng, MetricsOptions{MaxExemplars: 5})
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, a)
		}
		for _, tr := range traces {
			if err := pick(r, parts).Observe(p.NewEvaluator(), NewView(p).Reset(tr)); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range parts[1:] {
			if err := parts[0].Merge(a); err != nil {
				t.Fatal(err)
			}
		}
		want := metricsOracle(q, traces, rng)
		got := map[string]map[uint64]float64{}
		for _, s := range parts[0].Result() {
			label := ""
			for _, l := range s.Labels {
				if l.Name != labelName {
					label += fmt.Sprintf("%s=%s %v;", l.Name, l.Value.typ, l.Value)
				}
			}
			if got[label] != nil {
				t.Fatalf("%s: two series %s", q, label)
			}
			got[label] = map[uint64]float64{}
			for _, x := range s.Samples {
				got[label][x.Time] = x.Value
			}
		}
		if len(want) > 0 {
			nonEmpty++
		} else if q.Metrics.Field == nil && q.Metrics.By == nil {
			want[""] = map[uint64]float64{}
		}
		if diff := differences(got, want); diff != "" {
			t.Fatalf("%s: %s\n got %v\nwant %v", q, diff, got, want)
		}
	}
	if nonEmpty < rounds(t)/100 {
		t.Errorf("only %d queries had series", nonEmpty)
	}
}

// differences tolerates what a sketch and the order of sums may change, and
// samples of 0 where nothing was.
func differences(got, want map[string]map[uint64]float64) string {
	for label := range got {
		if want[label] == nil {
			return "series too many: " + label
		}
	}
	for label, samples := range want {
		if got[label] == nil {
			return "series missing: " + label
		}
		for at, v := range got[label] {
			w := samples[at]
			if math.Abs(v-w) > 0.008*math.Abs(w)+1e-12 {
				return fmt.Sprintf("series %s at %d: %v, want %v", label, at, v, w)
			}
		}
		for at, w := range samples {
			if _, ok := got[label][at]; !ok {
				return fmt.Sprintf("series %s has no sample at %d, want %v", label, at, w)
			}
		}
	}
	return ""
}

// A quantile of many values is within 0.8 % of the exact one.
func TestSketch(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, n := range []int{1, 2, 63, 64, 65, 66, 1000, 20_000} {
		var a, b, c sketch
		var all []float64
		for range n {
			v := math.Exp(r.NormFloat64()*5 + 10)
			if r.IntN(10) == 0 {
				v = float64(r.IntN(3))
			}
			all = append(all, v)
			c.add(v, 1)
			if r.IntN(2) == 0 {
				a.add(v, 1)
			} else {
				b.add(v, 1)
			}
		}
		a.merge(&b)
		sort.Float64s(all)
		qs := []float64{0.5, 0.9, 0.99, 0, 1, 0.01}
		together := make([]float64, len(qs))
		c.quantiles(qs, together)
		for i, q := range qs {
			if alone := c.quantile(q); alone != together[i] {
				t.Errorf("quantile %v of %d values is %v together with others, %v alone", q, n, together[i], alone)
			}
		}
		for _, q := range []float64{0, 0.01, 0.25, 0.5, 0.9, 0.99, 1} {
			want := all[max(0, int(math.Ceil(q*float64(n)))-1)]
			if got := a.quantile(q); math.Abs(got-want) > 0.008*want {
				t.Errorf("quantile %v of %d values is %v, want %v", q, n, got, want)
			}
		}
	}
}

// Values that are no numbers do no harm.
func TestSketchOfNaN(t *testing.T) {
	for first := range 2 {
		var s sketch
		for i := range 3000 {
			v := float64(100 + i%50)
			if i%7 == first {
				v = math.NaN()
			}
			s.add(v, 1)
		}
		out := make([]float64, 3)
		s.quantiles([]float64{0, 0.5, 1}, out)
		if math.IsNaN(out[1]) || out[1] < 100 || out[1] > 150 {
			t.Errorf("median %v", out[1])
		}
	}
}

func TestMetricsAreBounded(t *testing.T) {
	q, err := Parse("{ } | rate() by(span:id)")
	if err != nil {
		t.Fatal(err)
	}
	p := Compile(q)
	if _, err := p.NewAccumulator(Range{0, uint64(time.Hour), uint64(time.Millisecond)}, MetricsOptions{}); err == nil {
		t.Error("3.6 million samples are no error")
	}
	if _, err := p.NewAccumulator(Range{5, 5, 1}, MetricsOptions{}); err == nil {
		t.Error("an empty range is no error")
	}
	a, err := p.NewAccumulator(Range{Start: 0, End: math.MaxInt64}, MetricsOptions{MaxSeries: 10})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	e, view := p.NewEvaluator(), NewView(p)
	for range 1000 {
		if err = a.Observe(e, view.Reset(randomTrace(r, 5))); err != nil {
			break
		}
	}
	if err == nil || len(a.Result()) != 10 {
		t.Errorf("error %v, %d series", err, len(a.Result()))
	}
}

// Exemplars say which spans are behind a series, and lie in its intervals.
func TestExemplars(t *testing.T) {
	tr := readTrace(t, "testdata/shop.json")
	start := tr.Spans[0].StartTime
	for text, want := range map[string]string{
		`{ } | count_over_time() by(resource.service.name)`:                  `front: POST /checkout=1 charge card=1 payments: POST /charge=2 UPDATE cards=1`,
		`{ } | max_over_time(duration)`:                                      `POST /checkout=0.12 charge card=0.05 POST /charge=0.04 UPDATE cards=0.02`,
		`{ } | histogram_over_time(duration) by(kind)`:                       `client,0.033554432: UPDATE cards=1 client,0.067108864: charge card=1 server,0.067108864: POST /charge=1 server,0.134217728: POST /checkout=1`,
		`{ name = "POST /charge" } | quantile_over_time(duration, 0.5, 0.9)`: `0.5: POST /charge=0.04`,
	} {
		p := compiled(t, text)
		a, err := p.NewAccumulator(Range{start, start + 40e6, 10e6}, MetricsOptions{MaxExemplars: 5})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Observe(p.NewEvaluator(), NewView(p).Reset(tr)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range a.Result() {
			if len(s.Exemplars) == 0 {
				continue
			}
			var labels []string
			for _, l := range s.Labels {
				if l.Name != labelName {
					labels = append(labels, l.Value.Text())
				}
			}
			if len(labels) > 0 {
				got = append(got, strings.Join(labels, ",")+":")
			}
			for _, x := range s.Exemplars {
				for i := range tr.Spans {
					if tr.Spans[i].SpanID == x.SpanID {
						got = append(got, fmt.Sprintf("%s=%v", tr.Spans[i].Name, x.Value))
					}
				}
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s:\n got %s\nwant %s", text, s, want)
		}
	}
}

// Borders as Tempo draws them: ends belong to the interval before.
func TestIntervals(t *testing.T) {
	for _, c := range []struct {
		r    Range
		want map[uint64]uint64 // the time of the sample that a span counts for, 0 for none
	}{
		{Range{100, 140, 10}, map[uint64]uint64{89: 0, 90: 0, 91: 100, 100: 100, 101: 110, 110: 110, 139: 140, 140: 140, 141: 0}},
		{Range{103, 138, 10}, map[uint64]uint64{90: 0, 91: 100, 103: 110, 138: 140, 140: 140, 141: 0}},
		{Range{0, 20, 10}, map[uint64]uint64{1: 10, 20: 20, 21: 0}},
		{Range{Start: 100, End: 140}, map[uint64]uint64{100: 0, 101: 140, 140: 140, 141: 0}},
	} {
		iv, err := newIntervals(c.r)
		if err != nil {
			t.Fatal(err)
		}
		for at, want := range c.want {
			got := uint64(0)
			if i := iv.index(at); i >= 0 {
				got = iv.time(i)
			}
			if got != want {
				t.Errorf("%+v: a span at %d counts for %d, want %d", c.r, at, got, want)
			}
		}
	}
}
