package tracing

import (
	"context"
	"encoding/hex"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// TraceContext is the propagator of W3C Trace Context level 2 (https://www.w3.org/TR/trace-context-2/).
//
// Where it differs from OpenTelemetry's own: several traceparent headers make the request one without a parent;
// several tracestate headers are one list; keys follow the grammar of level 2; a key that occurs twice does not cost
// the list but the right-hand entries; an empty header is no fault. Members it does not know are passed on as they
// came, in their order; a list with an illegal member or more than 32 is dropped whole, and the parent kept.
//
// It reads and writes the flags "sampled" and "random"; others are zero on the way out, as the specification demands.
type TraceContext struct{}

var _ propagation.TextMapPropagator = TraceContext{}

const (
	traceparentKey = "traceparent"
	tracestateKey  = "tracestate"
	// The same, as net/http stores them.
	traceparentHeader = "Traceparent"
	tracestateHeader  = "Tracestate"

	traceparentLength = 2 + 1 + 32 + 1 + 16 + 1 + 2
	knownFlags        = trace.FlagsSampled | trace.FlagsRandom
)

// Fields are the headers that Inject sets.
func (TraceContext) Fields() []string { return []string{traceparentKey, tracestateKey} }

// Extract returns ctx with the remote span context of carrier, or ctx itself where there is none that is valid. A
// carrier that implements [propagation.ValuesGetter] is asked for all values of a header.
func (TraceContext) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	values := carrierValues(carrier, traceparentKey, traceparentHeader)
	if len(values) != 1 {
		return ctx
	}
	cfg, ok := parseTraceparent(trimOWS(values[0]))
	if !ok {
		return ctx
	}
	cfg.Remote = true
	var opaque *opaqueState
	if values := carrierValues(carrier, tracestateKey, tracestateHeader); len(values) > 0 {
		cfg.TraceState, opaque = parseTracestate(values, cfg.TraceID)
	}
	ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(cfg))
	if opaque != nil || ctx.Value(opaqueStateKey{}) != nil {
		// The second case hides the state of an outer extraction.
		ctx = context.WithValue(ctx, opaqueStateKey{}, opaque)
	}
	return ctx
}

// Inject writes the span context of ctx into carrier.
func (TraceContext) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return
	}
	state := ""
	if opaque, _ := ctx.Value(opaqueStateKey{}).(*opaqueState); opaque != nil && opaque.traceID == sc.TraceID() {
		state = opaque.merge(sc.TraceState())
	} else if sc.TraceState().Len() > 0 {
		state = sc.TraceState().String()
	}
	parent := formatTraceparent(sc)
	if header, ok := carrier.(propagation.HeaderCarrier); ok {
		header[traceparentHeader] = []string{parent}
		if state != "" {
			header[tracestateHeader] = []string{state}
		}
		return
	}
	carrier.Set(traceparentKey, parent)
	if state != "" {
		carrier.Set(tracestateKey, state)
	}
}

// formatTraceparent is version 00 of the header.
func formatTraceparent(sc trace.SpanContext) string {
	var b [traceparentLength]byte
	traceID, spanID := sc.TraceID(), sc.SpanID()
	flags := [1]byte{byte(sc.TraceFlags() & knownFlags)}
	copy(b[:], "00-")
	hex.Encode(b[3:], traceID[:])
	b[35] = '-'
	hex.Encode(b[36:], spanID[:])
	b[52] = '-'
	hex.Encode(b[53:], flags[:])
	return string(b[:])
}

// parseTraceparent reads the header of version 00, and what a later version has in common with it.
func parseTraceparent(s string) (cfg trace.SpanContextConfig, ok bool) {
	if len(s) < traceparentLength || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return cfg, false
	}
	var version, flags [1]byte
	if !decodeHex(version[:], s[:2]) || !decodeHex(cfg.TraceID[:], s[3:35]) ||
		!decodeHex(cfg.SpanID[:], s[36:52]) || !decodeHex(flags[:], s[53:55]) {
		return cfg, false
	}
	switch {
	case version[0] == 0xff:
		return cfg, false
	case len(s) > traceparentLength && (version[0] == 0 || s[traceparentLength] != '-'):
		return cfg, false
	}
	cfg.TraceFlags = trace.TraceFlags(flags[0]) & knownFlags
	return cfg, cfg.TraceID.IsValid() && cfg.SpanID.IsValid()
}

// decodeHex decodes lower-case digits alone.
func decodeHex(dst []byte, s string) bool {
	for i := range dst {
		high, low := hexDigit(s[2*i]), hexDigit(s[2*i+1])
		if high|low > 0xf {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// carrierValues returns all values of a header; canonical is its name in an [http.Header].
func carrierValues(carrier propagation.TextMapCarrier, key, canonical string) []string {
	switch c := carrier.(type) {
	case propagation.HeaderCarrier:
		return c[canonical]
	case propagation.ValuesGetter:
		return c.Values(key)
	}
	if v := carrier.Get(key); v != "" {
		return []string{v}
	}
	return nil
}

// trimOWS removes optional white space of RFC 9110.
func trimOWS(s string) string { return strings.Trim(s, " \t") }
