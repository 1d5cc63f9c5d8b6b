package traceql

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What Grafana's Traces Drilldown sends, with what its views need of the answers.

func TestDrilldownStructure(t *testing.T) {
	tr := readTrace(t, "../../testdata/traces/articles-with-suggested.json")
	p := compiled(t, `({nestedSetParent<0} &>> {kind = server}) || ({nestedSetParent<0}) | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)`)
	e := p.NewEvaluator()
	sets := e.Search(NewView(p).Reset(tr))
	if len(sets) != 1 || len(sets[0].Spans) != 3 {
		t.Fatalf("spansets %+v, want one of 3 spans", sets)
	}
	var got []string
	for _, i := range sets[0].Spans {
		s := ""
		for _, a := range e.Shown(nil, int(i)) {
			s += a.Name + "=" + a.Value.Text() + " "
		}
		got = append(got, s)
	}
	slices.Sort(got)
	want := []string{
		"nestedSetParent=-1 kind=server status=unset service.name=articles-service nestedSetLeft=1 nestedSetRight=22 ",
		"nestedSetParent=12 kind=server status=unset service.name=suggestions-service nestedSetLeft=13 nestedSetRight=16 ",
		"nestedSetParent=6 kind=server status=unset service.name=suggestions-service nestedSetLeft=7 nestedSetRight=10 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDrilldownExceptions(t *testing.T) {
	tr := readTrace(t, "testdata/shop.json")
	p := compiled(t, `{nestedSetParent>0 && status = error} | select(resource.service.name, event.exception.message, event.exception.stacktrace, event.exception.type) with(most_recent=true)`)
	e := p.NewEvaluator()
	sets := e.Search(NewView(p).Reset(tr))
	if len(sets) != 1 || len(sets[0].Spans) != 2 {
		t.Fatalf("spansets %+v, want one of 2 spans", sets)
	}
	got := fmt.Sprint(e.Shown(nil, int(sets[0].Spans[0])))
	for _, want := range []string{"card declined", "DeclinedError", "front"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %q", got, want)
		}
	}
}

func TestDrilldownMetrics(t *testing.T) {
	tr := readTrace(t, "testdata/shop.json")
	for text, want := range map[string]string{
		`{} | rate()`: `{__name__="rate"} 0.1`,
		`{nestedSetParent<0 && status=error && resource.service.name != nil} | rate() by(resource.service.name) with(sample=true)`: `nothing`,
		`{true && status=error} | rate() by(resource.service.name) with(sample=true)`:                                              `{resource.service.name="front"} 0.0166667 · {resource.service.name="payments"} 0.0166667`,
		`{kind=server && true} | quantile_over_time(duration, 0.9) by(name)`:                                                       `{name="POST /charge", p=0.9} 0.04 · {name="POST /checkout", p=0.9} 0.12`,
		`{kind=consumer} | histogram_over_time(duration) with(sample=true)`:                                                        `nothing`,
		`{span.db.system.name!=""} | histogram_over_time(duration) with(sample=true)`:                                              `{__bucket=0.016777216} 1 · {__bucket=0.033554432} 1`,
	} {
		p := compiled(t, text)
		if got := seriesOf(t, p, p.NewEvaluator(), NewView(p).Reset(tr)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestDrilldownComparison(t *testing.T) {
	tr := readTrace(t, "testdata/shop.json")
	p := compiled(t, `{true} | compare({status = error && duration >= 10ms && duration <= 200ms}, 10, 1767225600000000000, 1767225601000000000)`)
	got := seriesOf(t, p, p.NewEvaluator(), NewView(p).Reset(tr))
	for _, want := range []string{
		`{__meta_type="selection", resource.service.name="front"} 1`,
		`{__meta_type="selection", resource.service.name="payments"} 1`,
		`{__meta_type="baseline", resource.service.name="front"} 2`,
		`{__meta_type="selection_total", resource.service.name=nil} 2`,
		`{__meta_type="baseline_total", resource.service.name=nil} 4`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no series %s in %s", want, got)
		}
	}
}
