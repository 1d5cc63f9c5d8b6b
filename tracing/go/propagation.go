package tracing

import (
	"context"
	"log/slog"
	"strings"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/propagation"
)

// propagatorFromEnv reads OTEL_PROPAGATORS: a list of tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace and
// none, by default tracecontext,baggage.
func propagatorFromEnv(logger *slog.Logger) propagation.TextMapPropagator {
	value := env("OTEL_PROPAGATORS")
	if value == "" {
		value = "tracecontext,baggage"
	}
	return propagatorOf(strings.Split(value, ","), logger)
}

// propagatorOf reads and writes all the named formats in parallel; where several find a parent, the last one's counts.
// Unknown names are logged and skipped.
func propagatorOf(names []string, logger *slog.Logger) propagation.TextMapPropagator {
	var (
		propagators []propagation.TextMapPropagator
		seen        = make(map[string]bool)
	)
	for _, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		switch name {
		case "none":
			return propagation.NewCompositeTextMapPropagator()
		case "tracecontext":
			propagators = append(propagators, TraceContext{})
		case "baggage":
			propagators = append(propagators, baggage{})
		default:
			p, err := autoprop.TextMapPropagator(name)
			if err != nil {
				logger.Warn("unknown propagator", "name", name)
				continue
			}
			propagators = append(propagators, p)
		}
	}
	return propagation.NewCompositeTextMapPropagator(propagators...)
}

// baggage is W3C baggage that costs nothing for requests without any.
type baggage struct{ propagation.Baggage }

func (b baggage) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	if header, ok := carrier.(propagation.HeaderCarrier); ok && len(header["Baggage"]) == 0 {
		return ctx
	}
	return b.Baggage.Extract(ctx, carrier)
}
