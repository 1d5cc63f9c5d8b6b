package tracing

import (
	"context"
	"log/slog"
	"runtime/debug"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// newResource describes the process: service, host, container, process, runtime and SDK. Command-line arguments are left out
// because they may hold secrets. OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME come last, so they win.
func newResource(ctx context.Context, cfg Config, logger *slog.Logger) *resource.Resource {
	var attrs []attribute.KeyValue
	if cfg.ServiceName != "" {
		attrs = append(attrs, semconv.ServiceName(cfg.ServiceName))
	}
	version := cfg.ServiceVersion
	if version == "" {
		version = mainVersion()
	}
	if version != "" {
		attrs = append(attrs, semconv.ServiceVersion(version))
	}
	attrs = append(attrs, cfg.Attributes...)

	r, err := resource.New(ctx,
		resource.WithService(), // unknown_service:NAME and a random service.instance.id
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithOSType(),
		resource.WithContainerID(), // where there is one
		resource.WithProcessPID(),
		resource.WithProcessExecutableName(),
		resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(),
		resource.WithAttributes(attrs...),
		resource.WithFromEnv(),
	)
	if err != nil {
		// What could be read is there; a service does not stay down for a malformed attribute.
		logger.Warn("the trace resource is incomplete", "error", err.Error())
	}
	return r
}

// mainVersion is the version of the main module, or its revision when it was built from a checkout.
func mainVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
