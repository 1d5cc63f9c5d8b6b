package tracing

import (
	"log/slog"
	"strings"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/propagation"
)

// propagatorFromEnv reads OTEL_PROPAGATORS: a list of tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace and
// none, by default tracecontext,baggage. Unknown names are logged and skipped.
func propagatorFromEnv(logger *slog.Logger) propagation.TextMapPropagator {
	var (
		propagators []propagation.TextMapPropagator
		seen        = make(map[string]bool)
	)
	value := env("OTEL_PROPAGATORS")
	if value == "" {
		value = "tracecontext,baggage"
	}
	for name := range strings.SplitSeq(value, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		if name == "none" {
			return propagation.NewCompositeTextMapPropagator()
		}
		p, err := autoprop.TextMapPropagator(name)
		if err != nil {
			logger.Warn("OTEL_PROPAGATORS holds an unknown name", "name", name)
			continue
		}
		propagators = append(propagators, p)
	}
	return propagation.NewCompositeTextMapPropagator(propagators...)
}
