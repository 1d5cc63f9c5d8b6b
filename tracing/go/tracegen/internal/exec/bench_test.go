package exec

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/basic"
	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/several"
)

// byHand is what people write: Start, deferred End, the error's status, an
// attribute.
type byHand struct {
	basic.Service
	tracer trace.Tracer
}

func (h *byHand) GetArticles(ctx context.Context) ([]basic.Article, error) {
	ctx, span := h.tracer.Start(ctx, "Service.GetArticles")
	defer span.End()

	articles, err := h.Service.GetArticles(ctx)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return nil, err
	}
	if span.IsRecording() {
		span.SetAttributes(attribute.Int("n", len(articles)))
	}
	return articles, nil
}

// twinByHand is the same without an attribute.
type twinByHand struct {
	next   several.Twin
	tracer trace.Tracer
}

func (h *twinByHand) Do(ctx context.Context) error {
	ctx, span := h.tracer.Start(ctx, "Twin.Do")
	defer span.End()

	err := h.next.Do(ctx)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

// bare is a service that does nothing.
type bare struct{ basic.Service }

var articles = make([]basic.Article, 3)

//go:noinline
func (bare) GetArticles(context.Context) ([]basic.Article, error) { return articles, nil }

type bareTwin struct{}

//go:noinline
func (bareTwin) Do(context.Context) error { return nil }

// discard is a processor that takes spans and drops them.
type discard struct{}

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }
func (discard) ForceFlush(context.Context) error                { return nil }

func recording() trace.TracerProvider {
	return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(discard{}))
}

func unsampled() trace.TracerProvider {
	return sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
}

func plain(provider trace.TracerProvider) (generated, hand several.Twin) {
	return several.Instrument(bareTwin{}, provider), &twinByHand{bareTwin{}, provider.Tracer("hand")}
}

func attributed(provider trace.TracerProvider) (generated, hand basic.Service) {
	return basic.TraceService(bare{}, provider), &byHand{bare{}, provider.Tracer("hand")}
}

// BenchmarkCall has the time and the allocations of one call, each way.
func BenchmarkCall(b *testing.B) {
	ctx := context.Background()
	for _, provider := range []struct {
		name string
		trace.TracerProvider
	}{{"recording", recording()}, {"unsampled", unsampled()}} {
		twin, twinHand := plain(provider)
		svc, svcHand := attributed(provider)
		for name, svc := range map[string]several.Twin{"generated": twin, "hand": twinHand} {
			b.Run(provider.name+"/plain/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					svc.Do(ctx)
				}
			})
		}
		for name, svc := range map[string]basic.Service{"generated": svc, "hand": svcHand} {
			b.Run(provider.name+"/attribute/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					svc.GetArticles(ctx)
				}
			})
		}
	}
}

// BenchmarkRatio times the generated wrapper and the one by hand in turns, so
// that what disturbs one disturbs the other.
func BenchmarkRatio(b *testing.B) {
	ctx := context.Background()
	twin, twinHand := plain(recording())
	svc, svcHand := attributed(recording())
	b.Run("plain", func(b *testing.B) {
		generated, hand := turns(b, 200, func() { twin.Do(ctx) }, func() { twinHand.Do(ctx) })
		report(b, generated, hand)
	})
	b.Run("attribute", func(b *testing.B) {
		generated, hand := turns(b, 200, func() { svc.GetArticles(ctx) }, func() { svcHand.GetArticles(ctx) })
		report(b, generated, hand)
	})
}

func report(b *testing.B, generated, hand []float64) {
	ratios := make([]float64, len(generated))
	for i := range ratios {
		ratios[i] = generated[i] / hand[i]
	}
	b.ReportMetric(median(generated), "generated-ns")
	b.ReportMetric(median(hand), "hand-ns")
	b.ReportMetric(median(ratios), "ratio")
}

// BenchmarkDisabled compares a call through the interface with the same call
// after wrapping with a provider that is off.
func BenchmarkDisabled(b *testing.B) {
	ctx := context.Background()
	direct := opaque(bareTwin{})
	wrapped := opaque(several.Instrument(direct, noop.NewTracerProvider()))
	with, without := turns(b, 10000, func() { wrapped.Do(ctx) }, func() { direct.Do(ctx) })
	b.ReportMetric(median(with), "wrapped-ns")
	b.ReportMetric(median(without), "direct-ns")
	b.ReportMetric(median(with)-median(without), "difference-ns")
}

// opaque keeps the compiler from knowing what is behind the interface, which
// would spare it the dispatch.
//
//go:noinline
func opaque(t several.Twin) several.Twin { return t }

// turns runs batches of x and y in turns, the first of a pair alternating, and
// returns the time of one call in each batch, in nanoseconds.
func turns(b *testing.B, batch int, x, y func()) (xs, ys []float64) {
	timed := func(f func()) float64 {
		start := time.Now()
		for range batch {
			f()
		}
		return float64(time.Since(start)) / float64(batch)
	}
	for b.Loop() {
		if len(xs)%2 == 0 {
			xs = append(xs, timed(x))
			ys = append(ys, timed(y))
		} else {
			ys = append(ys, timed(y))
			xs = append(xs, timed(x))
		}
	}
	b.ReportMetric(0, "ns/op") // of a pair of batches: it says nothing
	return xs, ys
}

func median(xs []float64) float64 {
	sorted := slices.Sorted(slices.Values(xs))
	return sorted[len(sorted)/2]
}

// TestAllocations holds the wrapper to what the same code by hand allocates.
func TestAllocations(t *testing.T) {
	ctx := context.Background()
	same := func(what string, generated, hand func()) {
		t.Helper()
		if g, h := testing.AllocsPerRun(100, generated), testing.AllocsPerRun(100, hand); g != h {
			t.Errorf("%s: %v allocations, by hand %v", what, g, h)
		}
	}
	for name, provider := range map[string]trace.TracerProvider{"recording": recording(), "unsampled": unsampled()} {
		twin, twinHand := plain(provider)
		same(name, func() { twin.Do(ctx) }, func() { twinHand.Do(ctx) })
		svc, svcHand := attributed(provider)
		same(name+", attribute", func() { svc.GetArticles(ctx) }, func() { svcHand.GetArticles(ctx) })
	}
}
