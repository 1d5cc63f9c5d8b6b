// Package tracingtest records spans in memory and compares trees of them, for tests of instrumented code.
//
// A [Recorder] gives ids in order and times of a clock that ticks one millisecond with every start and end, so that a
// trace made by one goroutine is the same in every run. [Recorder.Tree] prints what was recorded as an indented tree,
// which a test compares as text ([AssertTree]) or with a golden file ([Golden]).
//
// Spans of concurrent goroutines start in any order; [ByName] sorts siblings for them.
package tracingtest

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Epoch is the time of the first tick of every recorder's clock.
var Epoch = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// Tick is the time between two starts or ends.
const Tick = time.Millisecond

// Recorder is a trace provider that keeps the spans. It is safe for concurrent use.
type Recorder struct {
	provider *sdktrace.TracerProvider

	mu      sync.Mutex
	ticks   int
	started map[trace.SpanID]time.Time
	ended   []*Span
	open    map[trace.SpanID]string
}

// Span is an ended span.
type Span struct {
	Name       string
	Kind       trace.SpanKind
	Context    trace.SpanContext
	Parent     trace.SpanContext
	Start, End time.Time
	Attributes []attribute.KeyValue
	Events     []sdktrace.Event
	Links      []sdktrace.Link
	Status     sdktrace.Status
	Scope      instrumentation.Scope
	Resource   *resource.Resource
	// Children are in the order in which they started; filled by [Recorder.Roots].
	Children []*Span
}

// Attribute returns the value of the attribute called key, an empty one when there is none.
func (s *Span) Attribute(key string) attribute.Value {
	for _, kv := range s.Attributes {
		if string(kv.Key) == key {
			return kv.Value
		}
	}
	return attribute.Value{}
}

// NewRecorder returns a recorder that samples everything. opts come after its own, so they win.
func NewRecorder(opts ...sdktrace.TracerProviderOption) *Recorder {
	r := &Recorder{started: make(map[trace.SpanID]time.Time), open: make(map[trace.SpanID]string)}
	opts = append([]sdktrace.TracerProviderOption{
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
		sdktrace.WithIDGenerator(&IDGenerator{}),
		sdktrace.WithSpanProcessor((*processor)(r)),
	}, opts...)
	r.provider = sdktrace.NewTracerProvider(opts...)
	return r
}

// Install returns a recorder that is the global provider, with the W3C propagators, until the test ends.
func Install(t testing.TB, opts ...sdktrace.TracerProviderOption) *Recorder {
	t.Helper()
	r := NewRecorder(opts...)
	provider, propagator := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	otel.SetTracerProvider(r.provider)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	t.Cleanup(func() {
		otel.SetTracerProvider(provider)
		otel.SetTextMapPropagator(propagator)
	})
	return r
}

// TracerProvider returns the provider whose spans are recorded.
func (r *Recorder) TracerProvider() *sdktrace.TracerProvider { return r.provider }

// SpanProcessor returns the recorder for a provider that is made elsewhere, such as by tracing.New with its field
// SpanProcessors.
func (r *Recorder) SpanProcessor() sdktrace.SpanProcessor { return (*processor)(r) }

// Spans returns the ended spans in the order in which they ended.
func (r *Recorder) Spans() []*Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ended)
}

// Open returns the names of the spans that were started and not ended: leaks, at the end of a test.
func (r *Recorder) Open() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.open))
	for _, name := range r.open {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Find returns the first ended span called name, or nil.
func (r *Recorder) Find(name string) *Span {
	for _, s := range r.Spans() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Reset forgets the spans. Clock and ids go on.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = nil
	clear(r.started)
	clear(r.open)
}

// Roots returns the recorded spans as trees: spans without a parent or whose parent was not recorded, in the order in
// which they started.
func (r *Recorder) Roots() []*Span {
	spans := r.Spans()
	byID := make(map[trace.SpanID]*Span, len(spans))
	for i, s := range spans {
		c := *s
		c.Children = nil
		spans[i] = &c
		byID[c.Context.SpanID()] = &c
	}
	slices.SortStableFunc(spans, func(a, b *Span) int { return a.Start.Compare(b.Start) })
	var roots []*Span
	for _, s := range spans {
		if parent, ok := byID[s.Parent.SpanID()]; ok && parent != s {
			parent.Children = append(parent.Children, s)
		} else {
			roots = append(roots, s)
		}
	}
	return roots
}

// processor is the recorder as the SDK sees it.
type processor Recorder

func (p *processor) tick() time.Time {
	p.ticks++
	return Epoch.Add(time.Duration(p.ticks-1) * Tick)
}

func (p *processor) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started[s.SpanContext().SpanID()] = p.tick()
	p.open[s.SpanContext().SpanID()] = s.Name()
}

func (p *processor) OnEnd(s sdktrace.ReadOnlySpan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := s.SpanContext().SpanID()
	p.ended = append(p.ended, &Span{
		Name:       s.Name(),
		Kind:       s.SpanKind(),
		Context:    s.SpanContext(),
		Parent:     s.Parent(),
		Start:      p.started[id],
		End:        p.tick(),
		Attributes: s.Attributes(),
		Events:     s.Events(),
		Links:      s.Links(),
		Status:     s.Status(),
		Scope:      s.InstrumentationScope(),
		Resource:   s.Resource(),
	})
	delete(p.started, id)
	delete(p.open, id)
}

func (p *processor) Shutdown(context.Context) error   { return nil }
func (p *processor) ForceFlush(context.Context) error { return nil }

// IDGenerator gives trace ids and span ids 1, 2, 3, …. The zero value is ready.
type IDGenerator struct{ traces, spans atomic.Uint64 }

// NewIDs implements the SDK's IDGenerator.
func (g *IDGenerator) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	var id trace.TraceID
	binary.BigEndian.PutUint64(id[8:], g.traces.Add(1))
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements the SDK's IDGenerator.
func (g *IDGenerator) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	var id trace.SpanID
	binary.BigEndian.PutUint64(id[:], g.spans.Add(1))
	return id
}
