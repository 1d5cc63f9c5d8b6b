//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// BenchmarkDeadBackend asks articles alternately with a live backend, with none
// listening, and with tracing off, and reports the medians and their ratios:
// what a request costs must not depend on whether anyone takes the spans.
func BenchmarkDeadBackend(b *testing.B) {
	live := startWorld(b)
	dead := startWorld(b, withoutBackend())
	off := startWorld(b, withoutBackend(), articlesEnv("OTEL_SDK_DISABLED=true"), suggestionsEnv("OTEL_SDK_DISABLED=true"))
	for _, route := range []struct{ name, path string }{{"list", "/articles/v1/"}, {"with_suggested", "/articles/v1/?with_suggested=1"}} {
		b.Run(route.name, func(b *testing.B) {
			worlds := []*world{live, dead, off}
			took := make([][]time.Duration, len(worlds))
			for range b.N {
				for i, w := range worlds {
					begin := time.Now()
					mustGet(b, http.StatusOK, w.articlesURL+route.path)
					took[i] = append(took[i], time.Since(begin))
				}
			}
			median := func(i int) float64 {
				slices.Sort(took[i])
				return float64(took[i][len(took[i])/2])
			}
			b.ReportMetric(median(0)/1e3, "live-µs")
			b.ReportMetric(median(1)/1e3, "dead-µs")
			b.ReportMetric(median(2)/1e3, "off-µs")
			b.ReportMetric(median(1)/median(0), "dead/live")
			b.ReportMetric(median(0)/median(2), "live/off")
		})
	}
}
