package ignore

import "go.opentelemetry.io/otel"

var (
	a = otel.Tracer("") //tracelint:ignore tracername the name is set by the exporter
	b = otel.Tracer("") // want `tracername: otel.Tracer makes a tracer without a name`

	//tracelint:ignore tracername,spanname the same
	c = otel.Tracer("")
	d = otel.Tracer("") // want `tracername: otel.Tracer makes a tracer without a name`

	e = otel.Tracer("") //tracelint:ignore spanname of another rule // want `tracername: otel.Tracer makes`
	f = otel.Tracer("") //tracelint:ignore tracename misspelt // want `ignore: //tracelint:ignore names the unknown rule "tracename"` `tracername: otel.Tracer makes`

	/* want+1 `ignore: //tracelint:ignore tracername needs a reason` */
	//tracelint:ignore tracername
	g = otel.Tracer("") // want `tracername: otel.Tracer makes`

	/* want+1 `ignore: //tracelint:ignore needs the name of a rule and a reason` */
	//tracelint:ignore
	h = otel.Tracer("") // want `tracername: otel.Tracer makes`
)
