package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// DefaultShutdownTimeout bounds a shutdown whose context has no deadline.
const DefaultShutdownTimeout = 5 * time.Second

// Config says what the program knows about itself. Every field is optional, and what an operator sets in the
// environment (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, …) wins over the field unless its comment says otherwise.
type Config struct {
	// ServiceName is the default of service.name.
	ServiceName string
	// ServiceVersion is service.version; empty means the main module's version from the build information.
	ServiceVersion string
	// Attributes are further resource attributes.
	Attributes []attribute.KeyValue
	// BackendURL is where spans go, in the syntax of TRACING_BACKEND_URL; set, it wins over that variable.
	BackendURL string
	// Sampler wins over OTEL_TRACES_SAMPLER when set. The default is ParentBased(AlwaysSample).
	Sampler sdktrace.Sampler
	// Propagator wins over OTEL_PROPAGATORS when set. The default is W3C trace context and baggage.
	Propagator propagation.TextMapPropagator
	// SpanProcessors see every span besides the exporters; tests put a recorder here.
	SpanProcessors []sdktrace.SpanProcessor
	// IDGenerator makes trace and span ids; nil means random ones.
	IDGenerator sdktrace.IDGenerator
	// Logger gets the reports on lost spans and bad settings; nil means slog.Default() at the time of the report.
	Logger *slog.Logger
}

// logger defers the choice of the default, which programs often set after the start.
func (c Config) logger() func() *slog.Logger {
	if c.Logger == nil {
		return slog.Default
	}
	return func() *slog.Logger { return c.Logger }
}

// Start builds the provider that cfg and the environment describe (see [New]), makes it and its propagator the global
// ones, routes OpenTelemetry's own errors to the logger, and returns the shutdown, which flushes what is in memory
// within its context's deadline (or [DefaultShutdownTimeout]). Start does not dial: a dead backend is no error.
func Start(ctx context.Context, cfg Config) (shutdown func(context.Context) error, err error) {
	// First, because building the provider may report errors.
	otel.SetErrorHandler(newErrorHandler(cfg.logger()))
	p, err := New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	otel.SetTracerProvider(p.TracerProvider())
	otel.SetTextMapPropagator(p.Propagator())
	if p.setGlobals != nil {
		p.setGlobals()
	}
	started.Store(p)
	return p.Shutdown, nil
}

// started is the provider of the last Start.
var started atomic.Pointer[Provider]

// Stats returns the counters of the provider that [Start] made last, one entry per backend.
func Stats() []BackendStats {
	if p := started.Load(); p != nil {
		return p.Stats()
	}
	return nil
}

// Provider is a trace provider with its exporters and propagator, for programs that do not want it to be global.
type Provider struct {
	tracer     trace.TracerProvider
	propagator propagation.TextMapPropagator
	queues     []*queue
	flush      func(context.Context) error // nil when nothing is exported, as is shutdown
	shutdown   func(context.Context) error
	setGlobals func() // nil when there is no more than a trace provider
}

// New builds a provider without touching global state. It reads:
//
//   - OTEL_CONFIG_FILE: a file of OpenTelemetry's declarative configuration; set, it decides alone.
//   - OTEL_SDK_DISABLED: "true" gives a provider that makes no spans; context is still propagated.
//   - OTEL_TRACES_EXPORTER: a list of otlp (the default), console and none.
//   - TRACING_BACKEND_URL: where otlp goes, one or several (see README); it wins over OTEL_EXPORTER_OTLP_ENDPOINT and
//     OTEL_EXPORTER_OTLP_TRACES_ENDPOINT.
//   - OTEL_EXPORTER_OTLP_*: protocol, headers, certificates, timeout and compression.
//   - OTEL_TRACES_SAMPLER, OTEL_PROPAGATORS, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_BSP_*, OTEL_SPAN_*.
//
// Errors are faults of the backend's URL, protocol or exporter names, all of them at once. Bad values of the other
// variables are logged and ignored, as the specification asks.
func New(ctx context.Context, cfg Config) (*Provider, error) {
	logger := cfg.logger()
	if path := env(configFileEnv); path != "" {
		return newFromFile(ctx, path, cfg, logger())
	}
	p := &Provider{propagator: cfg.Propagator}
	if p.propagator == nil {
		p.propagator = propagatorFromEnv(logger())
	}
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		p.tracer = noop.NewTracerProvider()
		return p, nil
	}
	destinations, err := destinationsFromEnv(cfg.BackendURL)
	if err != nil {
		return nil, err
	}
	for _, d := range destinations {
		exporter, err := d.open(ctx)
		if err != nil {
			return nil, fmt.Errorf("opening the exporter of backend %q: %w", d.name, err)
		}
		p.queues = append(p.queues, newQueue(d.name, exporter, logger))
	}
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(newResource(ctx, cfg, logger()))}
	if cfg.Sampler == nil {
		cfg.Sampler = samplerFromEnv()
	}
	if cfg.Sampler != nil {
		opts = append(opts, sdktrace.WithSampler(cfg.Sampler))
	}
	if cfg.IDGenerator != nil {
		opts = append(opts, sdktrace.WithIDGenerator(cfg.IDGenerator))
	}
	for _, sp := range cfg.SpanProcessors {
		opts = append(opts, sdktrace.WithSpanProcessor(sp))
	}
	if len(p.queues) > 0 {
		opts = append(opts, sdktrace.WithSpanProcessor(fanOut(p.queues)))
	}
	sdk := sdktrace.NewTracerProvider(opts...)
	p.tracer, p.flush, p.shutdown = sdk, sdk.ForceFlush, sdk.Shutdown
	if cfg.IDGenerator == nil {
		p.tracer = randomProvider{sdk: sdk}
	}
	return p, nil
}

// TracerProvider returns the provider to make tracers of.
func (p *Provider) TracerProvider() trace.TracerProvider { return p.tracer }

// Propagator returns the propagator for remote calls.
func (p *Provider) Propagator() propagation.TextMapPropagator { return p.propagator }

// Stats returns one entry per backend, in the order of the configuration.
func (p *Provider) Stats() []BackendStats {
	stats := make([]BackendStats, len(p.queues))
	for i, q := range p.queues {
		stats[i] = q.stats()
	}
	return stats
}

// ForceFlush sends the spans that ended before the call, to all backends at once, and returns when they were sent,
// failed, or ctx ended.
func (p *Provider) ForceFlush(ctx context.Context) error {
	if p.flush == nil {
		return nil
	}
	return p.flush(ctx)
}

// Shutdown flushes all backends at the same time and stops the provider. It returns when all is sent or ctx ends (or
// [DefaultShutdownTimeout] has passed, where ctx has no deadline); what could not be sent by then is lost, counted and
// named in the error. Spans that end later are dropped.
func (p *Provider) Shutdown(ctx context.Context) error {
	if p.shutdown == nil {
		return nil
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultShutdownTimeout)
		defer cancel()
	}
	return p.shutdown(ctx)
}

// Validate reports the faults for which [Start] would refuse cfg and the environment, without starting anything.
func Validate(cfg Config) error {
	if path := env(configFileEnv); path != "" {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("reading %s: %w", configFileEnv, err)
		}
		return nil
	}
	_, err := destinationsFromEnv(cfg.BackendURL)
	return err
}
