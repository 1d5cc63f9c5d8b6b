package articles_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/throughline/throughline/apps/articles/articles"
)

// BenchmarkWithSuggested is the time of a list of ten articles with their suggestions, by the number of calls at a
// time, against a suggestions service that takes 20 ms for each; "speed-up" is that of eight calls at a time over one,
// measured in turns. Ten calls in rounds of eight make two rounds, so 5 is the most there is. With
// SUGGESTIONS_SERVICE_HOST set it runs against that service instead, which must know the ids 000…1 to 000…a.
func BenchmarkWithSuggested(b *testing.B) {
	base := os.Getenv("SUGGESTIONS_SERVICE_HOST")
	if base == "" {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(20 * time.Millisecond)
			_, _ = io.WriteString(w, `["`+string(testID(1))+`"]`)
		}))
		b.Cleanup(srv.Close)
		base = srv.URL
	}
	u, err := url.Parse(base)
	if err != nil {
		b.Fatal(err)
	}
	request := func(concurrency int) func() time.Duration {
		logger := slog.New(slog.DiscardHandler)
		service := articles.NewService(testArticles(10), articles.NewSuggestionsClient(u, 2*time.Second), concurrency, logger)
		handler := articles.NewHandler(articles.MakeEndpoints(articles.TraceService(service, otel.GetTracerProvider()), 10*time.Second), false, logger)
		srv := httptest.NewServer(handler)
		b.Cleanup(srv.Close)
		return func() time.Duration {
			start := time.Now()
			res, err := http.Get(srv.URL + "/articles/v1/?with_suggested=1")
			if err != nil {
				b.Fatal(err)
			}
			defer res.Body.Close()
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				b.Fatal(err)
			}
			return time.Since(start)
		}
	}
	for _, concurrency := range []int{1, 2, 4, 8} {
		call := request(concurrency)
		b.Run(fmt.Sprintf("concurrency-%d", concurrency), func(b *testing.B) {
			for b.Loop() {
				call()
			}
		})
	}
	one, eight := request(1), request(8)
	b.Run("speed-up", func(b *testing.B) {
		var ratios []float64
		for b.Loop() {
			t := one()
			ratios = append(ratios, float64(t)/float64(eight()))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "speed-up")
		b.ReportMetric(0, "ns/op")
	})
}
