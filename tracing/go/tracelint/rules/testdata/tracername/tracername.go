package tracername

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

const unnamed = ""

var (
	global = otel.Tracer("") // want `otel.Tracer makes a tracer without a name: use the import path of the package`
	named  = otel.Tracer("example.com/shop/tracername")
)

func of(tp trace.TracerProvider, name string) []trace.Tracer {
	return []trace.Tracer{
		tp.Tracer(unnamed),                  // want `tp.Tracer makes a tracer without a name`
		otel.GetTracerProvider().Tracer(``), // want `Tracer makes a tracer without a name`
		tp.Tracer(name),
		noop.NewTracerProvider().Tracer(""), // its spans go nowhere
	}
}
