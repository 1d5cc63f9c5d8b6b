package query_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
	"github.com/throughline/throughline/backend/traceql"
)

// BenchmarkQuery asks a store of 1,000,000 spans of bench/otlpload, all of one hour.
// README.md of bench has what bounds each.
func BenchmarkQuery(b *testing.B) {
	db := storetest.Load(b, "../..", 1_000_000, store.Options{Log: slog.New(slog.DiscardHandler)})
	e := query.New(db, query.Options{})
	hour := traceql.Range{Start: (storetest.LoadEnd - 3600) * 1e9, End: storetest.LoadEnd * 1e9, Step: 60e9}
	for _, c := range []struct{ name, query string }{
		{"newest", `{ }`},
		{"service and status", `{ resource.service.name = "payment" && status = error }`},
		{"service and status, none", `{ resource.service.name = "payment" && status = ok }`},
		{"needle", needle(b, e, hour)},
		{"needle, none", `{ .anything = "nowhere" || span.url.path = "nowhere" || resource.x = "nowhere" || event.y = "nowhere" }`},
		{"dictionary pattern", `{ span.http.route =~ "/(quote|refund).*" }`},
		{"dictionary pattern, none", `{ span.http.route =~ "/(quote|refund).*" && resource.service.name = "ad" }`},
		{"path pattern", `{ span.url.path =~ "/[a-f]+/[a-f0-9]+[0-9]{9}" }`},
		{"path pattern, none", `{ span.url.path =~ "/.*[g-i]9" }`},
		{"path pattern with a literal", `{ span.url.path =~ ".*/ads/.*abc[0-9]{4}.*" }`},
		{"path pattern with a literal, none", `{ span.url.path =~ ".*/nowhere/[0-9]+" }`},
		{"descendant", `{ resource.service.name = "web" } >> { name = "UPDATE accounts" && status = error }`},
		{"descendant, none", `{ resource.service.name = "payment" } >> { resource.service.name = "web" && kind = server && status = error }`},
		{"descendant of all, none", `{ kind = server } >> { kind = internal && duration > 1h }`},
		{"chain", `{ resource.service.name = "web" } >> { resource.service.name = "checkout" } >> { resource.service.name = "payment" && status = error }`},
		{"count", `{ resource.service.name = "payment" } | count() > 8`},
		{"count of all, none", `{ } | count() > 1000`},
		{"root name, none", `{ rootServiceName = "nobody" }`},
		{"root name", `{ rootName = "GET /" && status = error }`},
		{"events", `{ event.exception.type = "TimeoutError" && resource.service.name = "ad" }`},
		{"rate by service", `{ } | rate() by (resource.service.name)`},
		{"errors by service", `{ status = error } | rate() by (resource.service.name)`},
		{"quantiles by name", `{ } | quantile_over_time(duration, .5, .9, .99) by (name)`},
		{"rate by route", `{ span.http.route != nil } | rate() by (span.http.route)`},
		{"comparison of roots", `{ nestedSetParent < 0 } | compare({ status = error }, 10)`},
		{"histogram", `{ } | histogram_over_time(duration)`},
		{"average of an attribute", `{ } | avg_over_time(span.http.response.body.size) by (resource.service.name)`},
	} {
		q, err := traceql.Parse(c.query)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			defer storetest.ReportCPU(b)()
			found, judged := 0, 0
			for b.Loop() {
				if q.Metrics != nil {
					s, err := e.Metrics(b.Context(), query.Metrics{Query: q, Range: hour})
					if err != nil {
						b.Fatal(err)
					}
					found, judged = len(s.List), s.Stats.Traces
					continue
				}
				f, err := e.Search(b.Context(), query.Search{Query: q, Start: hour.Start, End: hour.End})
				if err != nil {
					b.Fatal(err)
				}
				found, judged = len(f.Traces), f.Stats.Traces
			}
			b.ReportMetric(float64(found), "found")
			b.ReportMetric(float64(judged), "judged")
		})
	}
}

// needle asks for the path of one of the oldest spans.
func needle(b *testing.B, e *query.Engine, hour traceql.Range) string {
	q, err := traceql.Parse(`{ span.url.path != nil }`)
	if err != nil {
		b.Fatal(err)
	}
	f, err := e.Search(b.Context(), query.Search{Query: q, Start: hour.Start, End: hour.Start + 60e9, Limit: 1})
	if err != nil || len(f.Traces) == 0 {
		b.Fatal("no span has a path", err)
	}
	return fmt.Sprintf("{ .url.path = %s }", f.Traces[0].Spansets[0].Spans[0].Attributes[0].Value)
}
