package tracing_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	tracing "github.com/throughline/throughline/tracing/go"
)

// TestConfigFile: the file decides alone: exporter, sampler, resource, propagators; our propagator stays strict.
func TestConfigFile(t *testing.T) {
	var mu sync.Mutex
	var received bytes.Buffer // protobuf, in which strings are plain
	r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&received, r.Body)
	}))
	defer r.Close()
	file := filepath.Join(t.TempDir(), "otel.yaml")
	t.Setenv("ENDPOINT", r.URL+"/v1/traces")
	if err := os.WriteFile(file, []byte(`
file_format: "1.0"
resource:
  attributes:
    - name: service.name
      value: of-the-file
propagator:
  composite:
    - tracecontext:
    - baggage:
  composite_list: "b3"
tracer_provider:
  processors:
    - batch:
        schedule_delay: 60000
        exporter:
          otlp_http:
            endpoint: ${ENDPOINT}
  sampler:
    parent_based:
      root:
        always_on:
`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_CONFIG_FILE", file)
	t.Setenv("TRACING_BACKEND_URL", "localhost:1")
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	log := &lines{}
	p, err := tracing.New(t.Context(), tracing.Config{ServiceName: "ignored", Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	if n := log.count("TRACING_BACKEND_URL is ignored, because OTEL_CONFIG_FILE is set"); n != 1 {
		t.Errorf("%d warnings: %s", n, log)
	}
	in := mapCarrier{"traceparent": remoteSampled, "tracestate": "foo@=1"}
	out := mapCarrier{}
	p.Propagator().Inject(p.Propagator().Extract(t.Context(), in), out)
	if out["tracestate"] != "foo@=1" || out["b3"] == "" {
		t.Errorf("injected %v", out)
	}
	makeSpans(p, 2)
	if err := p.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	makeSpans(p, 1)
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := received.String()
	if strings.Count(got, "span 0") != 2 || strings.Count(got, "span 1") != 1 || !strings.Contains(got, "of-the-file") {
		t.Errorf("received %q", got)
	}
}

// TestConfigFileFaults: a file that is not there, is no YAML, or cannot be applied, is named.
func TestConfigFileFaults(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ content, want string }{
		"missing":  {"", "reading OTEL_CONFIG_FILE"},
		"no yaml":  {"{", "parsing OTEL_CONFIG_FILE"},
		"no model": {"file_format: \"1.0\"\ntracer_provider:\n  processors:\n    - batch:\n        exporter:\n          carrier_pigeon:\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, name)
			if c.content != "" {
				if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("OTEL_CONFIG_FILE", file)
			_, err := tracing.New(t.Context(), tracing.Config{Logger: (&lines{}).logger()})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("error %v", err)
			}
			if v := tracing.Validate(tracing.Config{}); (v != nil) != (name == "missing") {
				t.Errorf("Validate says %v", v)
			}
		})
	}
}

// TestConfigFileDisabled: a file may turn everything off.
func TestConfigFileDisabled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "otel.yaml")
	if err := os.WriteFile(file, []byte("file_format: \"1.0\"\ndisabled: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_CONFIG_FILE", file)
	provider, propagator, meters := otel.GetTracerProvider(), otel.GetTextMapPropagator(), otel.GetMeterProvider()
	defer func() {
		otel.SetTracerProvider(provider)
		otel.SetTextMapPropagator(propagator)
		otel.SetMeterProvider(meters)
	}()
	shutdown, err := tracing.Start(t.Context(), tracing.Config{Propagator: propagation.TraceContext{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, span := otel.Tracer("t").Start(t.Context(), "s"); span.IsRecording() {
		t.Error("a recording span")
	}
	if err := shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
