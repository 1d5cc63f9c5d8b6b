package system

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFindCheckout(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"go.work", "apps/articles/go.mod", "apps/articles/deep/down/x", "tmp/go.work"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Another workspace on the way up is not the checkout.
	for _, from := range []string{".", "apps/articles/deep/down", "tmp"} {
		got, err := FindCheckout(filepath.Join(root, from))
		if err != nil || string(got) != root {
			t.Errorf("from %s: %q, %v", from, got, err)
		}
	}
	if _, err := FindCheckout(t.TempDir()); !errors.Is(err, ErrNoCheckout) || !strings.Contains(err.Error(), "throughline serve") {
		t.Errorf("outside: %v", err)
	}
}

func TestPortsCheckNamesEveryFault(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	err = Ports{UI: taken, OTLPGRPC: 0, OTLPHTTP: 70000, Articles: taken, Suggestions: taken}.check(true)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"for the UI and the APIs is taken", "--ui-port",
		"port 0 for OTLP over gRPC", "--otlp-grpc-port", "port 70000 for OTLP over HTTP",
		"both for the UI and the APIs and for articles", "--suggestions-port", "--port-offset 1000",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}

// A backend elsewhere may well have the ports that ours would have.
func TestPortsOfABackendElsewhereAreNotChecked(t *testing.T) {
	free := func() int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	p := Ports{UI: taken, OTLPGRPC: taken, OTLPHTTP: taken, Articles: free(), Suggestions: free()}
	if err := p.check(false); err != nil {
		t.Error(err)
	}
	if err := p.check(true); err == nil {
		t.Error("no error where the backend runs here")
	}
}

func TestOffsetMovesEveryPort(t *testing.T) {
	from, to := DefaultPorts(0).list(), DefaultPorts(1000).list()
	for i := range from {
		if to[i].number != from[i].number+1000 {
			t.Errorf("%s: %d to %d", from[i].use, from[i].number, to[i].number)
		}
	}
}

func TestTracingEnvironment(t *testing.T) {
	c := Config{Ports: DefaultPorts(0)}
	for _, test := range []struct {
		name string
		env  []string
		want []string
	}{
		{"nothing set", nil, []string{"OTEL_BSP_SCHEDULE_DELAY=200", "TRACING_BACKEND_URL=http://127.0.0.1:4317"}},
		{"empty is unset", []string{"TRACING_BACKEND_URL=", "OTEL_BSP_SCHEDULE_DELAY="}, []string{"OTEL_BSP_SCHEDULE_DELAY=200", "TRACING_BACKEND_URL=http://127.0.0.1:4317"}},
		{"the caller's", []string{"TRACING_BACKEND_URL=jaeger:4317", "OTEL_BSP_SCHEDULE_DELAY=5000"}, nil},
		{"a protocol", []string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, []string{"OTEL_BSP_SCHEDULE_DELAY=200", "TRACING_BACKEND_URL=http://127.0.0.1:4318/v1/traces"}},
		{"a protocol for traces", []string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc"}, []string{"OTEL_BSP_SCHEDULE_DELAY=200", "TRACING_BACKEND_URL=http://127.0.0.1:4317"}},
	} {
		c.Environ = test.env
		if got := c.tracingEnv(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestBackendFlagWinsOverTheEnvironment(t *testing.T) {
	c := Config{Ports: DefaultPorts(0), Backend: "jaeger:4317", Environ: []string{"TRACING_BACKEND_URL=tempo:4317"}}
	if got, want := c.tracingEnv(), []string{"OTEL_BSP_SCHEDULE_DELAY=200", "TRACING_BACKEND_URL=jaeger:4317"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSetenvOverrides(t *testing.T) {
	got := setenv([]string{"A=1", "PORT=80", "B=2", "PORT=81"}, "PORT=9", "C=3")
	if want := []string{"A=1", "B=2", "PORT=9", "C=3"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTableHidesSecrets(t *testing.T) {
	got := redact("localhost:4317, https://user:pw@otlp.example.com/otlp;bearer=token;x-team=core")
	if want := "localhost:4317, …@otlp.example.com/otlp"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
