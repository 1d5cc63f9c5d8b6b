package traceql

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/throughline/throughline/backend/span"
)

// describe writes spansets in a form that both evaluators' results have.
func describe(sets []Spanset) string {
	s := ""
	for _, set := range sets {
		s += fmt.Sprint(set.Spans)
		for _, a := range set.Attributes {
			s += fmt.Sprintf(" %s=%s %v", a.Name, a.Value.typ, a.Value)
		}
		s += "\n"
	}
	return s
}

func describeOracle(sets []oracleSet) string {
	s := ""
	for _, set := range sets {
		s += fmt.Sprint(set.spans)
		for _, a := range set.attributes {
			s += " " + a
		}
		s += "\n"
	}
	return s
}

// rounds is how many random queries a test tries.
func rounds(t testing.TB) int {
	if testing.Short() {
		return 2_000
	}
	return 20_000
}

func TestSearchEqualsOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	g := generator{r}
	tried, matched := 0, 0
	for range rounds(t) {
		text := g.query()
		q, err := Parse(text)
		if err != nil {
			continue
		}
		tried++
		p := Compile(q)
		e, view := p.NewEvaluator(), NewView(p)
		for range 3 {
			tr := randomTrace(r, 12)
			got := describe(e.Search(view.Reset(tr)))
			want := describeOracle(oracle{Trace: tr}.search(q))
			if got != want {
				t.Fatalf("%s\n%s got\n%swant\n%s", q, dump(tr), got, want)
			}
			if got != "" {
				matched++
			}
		}
	}
	t.Logf("%d queries, %d matches", tried, matched)
	if tried < rounds(t)/3 || matched < tried/2 {
		t.Errorf("only %d queries of %d were tried, with %d matches", tried, rounds(t), matched)
	}
}

// Judging spans allocates nothing for each, whatever the answer.
func TestSearchDoesNotAllocatePerSpan(t *testing.T) {
	tr := benchTrace()
	for _, text := range []string{
		`{ resource.service.name = "orders" && span.http.response.status_code >= 500 && duration > 1ms }`,
		`{ span.url.path =~ ".*/99[0-9]" || event:name = "x" || !span.absent }`,
		`{ resource.service.name = "front" } >> { parent.http.request.method = "GET" && span.http.response.status_code + 1 = 501 }`,
	} {
		p := compiled(t, text)
		e, view := p.NewEvaluator(), NewView(p)
		run := func() { e.Search(view.Reset(tr)) }
		run()
		if n := testing.AllocsPerRun(20, run); n > 10 {
			t.Errorf("%s: %v allocations for %d spans", text, n, len(tr.Spans))
		}
	}
}

// dump writes a trace for a failure.
func dump(t *span.Trace) string {
	o := oracle{Trace: t}
	s := ""
	for i := range t.Spans {
		x := &t.Spans[i]
		s += fmt.Sprintf("%d parent=%d name=%q kind=%s status=%s duration=%s", i, o.parent(i), x.Name, x.Kind, x.Status.Code, x.Duration())
		write := func(scope string, attributes []span.Attribute) {
			for _, a := range attributes {
				s += fmt.Sprintf(" %s.%s=%s", scope, a.Key, ValueOf(a.Value))
			}
		}
		write("span", x.Attributes)
		write("resource", x.Resource.Attributes)
		write("instrumentation", x.Scope.Attributes)
		for _, e := range x.Events {
			write("event", e.Attributes)
		}
		for _, l := range x.Links {
			write("link", l.Attributes)
		}
		s += "\n"
	}
	return s
}

// Whatever parses can be run, and never fails or hangs.
func FuzzRun(f *testing.F) {
	for _, line := range lines(f, "testdata/valid.txt") {
		text, _, _ := strings.Cut(line, "\t")
		f.Add(text)
	}
	traces := []*span.Trace{readTrace(f, "testdata/shop.json"), readTrace(f, "../../testdata/traces/parent-cycle.json")}
	r := rand.New(rand.NewPCG(11, 12))
	for range 3 {
		traces = append(traces, randomTrace(r, 8))
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if err != nil {
			return
		}
		q.Conditions()
		p := Compile(q)
		e, view := p.NewEvaluator(), NewView(p)
		if q.Metrics != nil {
			a, err := p.NewAccumulator(Range{testStart, testStart + 5*testStep, testStep}, MetricsOptions{MaxExemplars: 3})
			if err != nil {
				t.Fatal(err)
			}
			for _, tr := range traces {
				if err := a.Observe(e, view.Reset(tr)); err != nil {
					t.Fatal(err)
				}
			}
			a.Result()
			return
		}
		for _, tr := range traces {
			for _, set := range e.Search(view.Reset(tr)) {
				if len(set.Spans) == 0 {
					t.Fatalf("%s: a spanset without spans", q)
				}
				e.Shown(nil, int(set.Spans[0]))
			}
		}
	})
}
