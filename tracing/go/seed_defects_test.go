package tracing_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	tracing "github.com/throughline/throughline/tracing/go"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// seedDefects are the faults of the published example that instrumentation is to be free of, with the tests that fail
// on code that has them. Those of the service itself (G6 to G10, G12, G14, G15) are in apps/articles; G22, outdated
// dependencies, is the vulnerability scan's.
var seedDefects = []struct {
	id, fault string
	tests     map[string]func(*testing.T)
}{
	{"G1", "the incoming trace is not continued", map[string]func(*testing.T){
		"server": TestServerContinuesRemoteParent, "client": TestClientPropagates,
	}},
	{"G2", "the caller's decision and OTEL_TRACES_SAMPLER are overridden", map[string]func(*testing.T){
		"samplers": TestSamplers, "client": TestClientUnsampled,
	}},
	{"G3", "span names hold the raw path", map[string]func(*testing.T){
		"cardinality": TestServerCardinality, "routes": TestServerRoutes,
	}},
	{"G4", "no kind, no attributes, no status", map[string]func(*testing.T){
		"server": TestServerGolden, "client": TestClientGolden,
	}},
	{"G5", "errors are not on the spans", map[string]func(*testing.T){"endpoint": TestEndpoint, "fail": TestFail}},
	{"G11", "the shutdown has no deadline", map[string]func(*testing.T){
		"bound": TestSeveralBackends, "goroutines": TestShutdownLeavesNoGoroutines,
	}},
	{"G13", "scope names are empty", map[string]func(*testing.T){"scope": testScopes}},
	{"G16", "the resource is a constant", map[string]func(*testing.T){"resource": TestResource}},
	{"G17", "endpoint, headers, certificate and protocol of the environment are ignored", map[string]func(*testing.T){
		"endpoint": TestStandardEndpoint, "tokens": TestTokens, "faults": TestFaultsOfTheEnvironment,
	}},
	{"G18", "no baggage, OTEL_PROPAGATORS ignored", map[string]func(*testing.T){"propagators": TestPropagatorsInParallel}},
	{"G19", "export failures unstructured, drops invisible", map[string]func(*testing.T){"drops": TestDrops, "tokens": TestTokens}},
	{"G20", "unchecked type assertions", map[string]func(*testing.T){"untyped": TestUntypedChecksTheRequest}},
	{"G21", "a panic leaves the span unset", map[string]func(*testing.T){
		"server": TestServerPanicIsRaisedAgain, "endpoint": TestEndpoint,
	}},
	{"G23", "no switch, no limits, no queue settings, no word of what was dropped", map[string]func(*testing.T){
		"switch": TestDisabled, "limits": testLimits, "queue": TestDrops,
	}},
	{"G24", "logs without trace ids", map[string]func(*testing.T){"slog": TestLogHandler}},
}

func TestSeedDefects(t *testing.T) {
	for _, d := range seedDefects {
		t.Run(d.id, func(t *testing.T) {
			t.Log(d.fault)
			for name, test := range d.tests {
				t.Run(name, test)
			}
		})
	}
}

func testScopes(t *testing.T) {
	r := tracingtest.Install(t)
	srv := httptest.NewServer(tracing.Middleware(http.NotFoundHandler()))
	defer srv.Close()
	res, err := (&http.Client{Transport: tracing.Transport(nil)}).Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	_, _ = tracing.Endpoint("e", get)(t.Context(), getRequest{})
	for _, s := range waitSpans(t, r, 3) {
		if s.Scope.Name != tracing.ScopeName || s.Scope.Version != tracing.Version {
			t.Errorf("span %q has scope %q %q", s.Name, s.Scope.Name, s.Scope.Version)
		}
	}
}

// testLimits: the specification's limits bound what one span can hold.
func testLimits(t *testing.T) {
	t.Setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")
	t.Setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	seen := tracingtest.NewRecorder()
	p := newProvider(t, tracing.Config{SpanProcessors: []sdktrace.SpanProcessor{seen.SpanProcessor()}})
	_, span := p.TracerProvider().Tracer("t").Start(t.Context(), "s")
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		span.SetAttributes(attribute.String(key, strings.Repeat("x", 100)))
	}
	span.End()
	s := seen.Spans()[0]
	if len(s.Attributes) != 3 || s.Attribute("a").AsString() != "xxxxx" {
		t.Errorf("attributes %v", s.Attributes)
	}
}
