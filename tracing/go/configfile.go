package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/otelconf"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// configFileEnv names a file of OpenTelemetry's declarative configuration
// (https://opentelemetry.io/docs/specs/otel/configuration/data-model/).
const configFileEnv = "OTEL_CONFIG_FILE"

// newFromFile builds the provider of a configuration file. As the specification says, the file alone decides: other
// variables hold where the file refers to them, and for the resource. Its exporters are OpenTelemetry's own, so they
// have no entry in Stats; its meter and logger providers become global by Start.
func newFromFile(ctx context.Context, path string, cfg Config, logger *slog.Logger) (*Provider, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", configFileEnv, err)
	}
	model, err := otelconf.ParseYAML(data)
	if err != nil {
		return nil, fmt.Errorf("parsing %s %q: %w", configFileEnv, path, err)
	}
	if !strings.HasPrefix(model.FileFormat, "1.") {
		return nil, fmt.Errorf("parsing %s %q: file_format %q is not supported: want 1.0", configFileEnv, path, model.FileFormat)
	}
	if cfg.BackendURL != "" || env(BackendURLEnv) != "" {
		logger.Warn(BackendURLEnv+" is ignored, because "+configFileEnv+" is set", "file", path)
	}
	var opts []sdktrace.TracerProviderOption
	if cfg.IDGenerator != nil {
		opts = append(opts, sdktrace.WithIDGenerator(cfg.IDGenerator))
	}
	for _, sp := range cfg.SpanProcessors {
		opts = append(opts, sdktrace.WithSpanProcessor(sp))
	}
	// NewSDK reads the file that the variable names once more.
	sdk, err := otelconf.NewSDK(otelconf.WithContext(ctx), otelconf.WithTracerProviderOptions(opts...))
	if err != nil {
		return nil, fmt.Errorf("applying %s %q: %w", configFileEnv, path, err)
	}
	p := &Provider{
		tracer:     sdk.TracerProvider(),
		propagator: cfg.Propagator,
		shutdown:   sdk.Shutdown,
		setGlobals: func() {
			otel.SetMeterProvider(sdk.MeterProvider())
			otel.SetLoggerProvider(sdk.LoggerProvider())
		},
	}
	if p.propagator == nil {
		p.propagator = propagatorOf(fileNames(model.Propagator), logger)
	}
	if tp, ok := p.tracer.(*sdktrace.TracerProvider); ok {
		p.flush = tp.ForceFlush
		if cfg.IDGenerator == nil {
			p.tracer = randomProvider{sdk: tp}
		}
	}
	return p, nil
}

// fileNames lists the propagators of a file as OTEL_PROPAGATORS spells them.
func fileNames(p *otelconf.Propagator) []string {
	if p == nil {
		return nil
	}
	var names []string
	add := func(name string, there bool) {
		if there {
			names = append(names, name)
		}
	}
	for _, c := range p.Composite {
		add("tracecontext", c.Tracecontext != nil)
		add("baggage", c.Baggage != nil)
		add("b3", c.B3 != nil)
		add("b3multi", c.B3Multi != nil)
		add("jaeger", c.Jaeger != nil)
		add("ottrace", c.Ottrace != nil)
	}
	if p.CompositeList != nil {
		names = append(names, strings.Split(*p.CompositeList, ",")...)
	}
	return names
}
