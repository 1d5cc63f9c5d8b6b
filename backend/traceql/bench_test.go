package traceql

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/throughline/throughline/backend/span"
)

// benchTrace is 1000 spans of a web service and its database.
func benchTrace() *span.Trace {
	r := rand.New(rand.NewPCG(1, 1))
	t := &span.Trace{ID: span.TraceID{1}}
	var resources []*span.Resource
	for _, name := range []string{"front", "orders", "stock", "database"} {
		resources = append(resources, &span.Resource{Attributes: []span.Attribute{
			{Key: "telemetry.sdk.language", Value: span.String("go")},
			{Key: "service.name", Value: span.String(name)},
			{Key: "host.name", Value: span.String("host-1")},
		}})
	}
	scope := &span.Scope{Name: "http"}
	for i := range 1000 {
		s := span.Span{
			TraceID: t.ID, SpanID: span.SpanID{byte(i), byte(i >> 8), 1}, Name: fmt.Sprintf("GET /%d", i%20),
			Kind: span.Kind(1 + i%5), StartTime: testStart + uint64(i)*1000, EndTime: testStart + uint64(i)*1000 + r.Uint64N(50_000_000),
			Resource: resources[i%4], Scope: scope,
			Attributes: []span.Attribute{
				{Key: "http.request.method", Value: span.String("GET")},
				{Key: "url.path", Value: span.String(fmt.Sprintf("/articles/%d", i))},
				{Key: "http.response.status_code", Value: span.Int(int64(200 + 100*(i%4)))},
			},
		}
		if i > 0 {
			s.ParentSpanID = t.Spans[i*3/4].SpanID
		}
		t.Spans = append(t.Spans, s)
	}
	return t
}

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"short": `{ resource.service.name = "front" && status = error }`,
		"long":  `({ nestedSetParent < 0 && resource.service.name = "front" } &>> { kind = server && duration > 100ms && span.http.response.status_code >= 500 }) || ({ nestedSetParent < 0 }) | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	tr := benchTrace()
	for name, text := range map[string]string{
		"filter":     `{ resource.service.name = "orders" && span.http.response.status_code >= 500 }`,
		"none":       `{ span.absent = "x" }`,
		"regexp":     `{ span.url.path =~ ".*/99[0-9]" }`,
		"descendant": `{ resource.service.name = "front" } >> { span.http.response.status_code = 500 }`,
		"aggregate":  `{ kind = server } | by(resource.service.name) | avg(duration) > 1ms`,
	} {
		b.Run(name, func(b *testing.B) {
			p := compiled(b, text)
			e, view := p.NewEvaluator(), NewView(p)
			b.ReportAllocs()
			for range b.N {
				e.Search(view.Reset(tr))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(tr.Spans)), "ns/span")
		})
	}
}

func BenchmarkMetrics(b *testing.B) {
	tr := benchTrace()
	for name, text := range map[string]string{
		"rate":     `{ } | rate() by(resource.service.name)`,
		"quantile": `{ } | quantile_over_time(duration, 0.99) by(name)`,
		"compare":  `{ } | compare({ status = error })`,
	} {
		b.Run(name, func(b *testing.B) {
			p := compiled(b, text)
			a, err := p.NewAccumulator(Range{testStart, testStart + 1_000_000_000, 100_000_000}, MetricsOptions{})
			if err != nil {
				b.Fatal(err)
			}
			e, view := p.NewEvaluator(), NewView(p)
			b.ReportAllocs()
			for range b.N {
				if err := a.Observe(e, view.Reset(tr)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(tr.Spans)), "ns/span")
		})
	}
}

func compiled(t testing.TB, text string) *Program {
	t.Helper()
	q, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return Compile(q)
}
