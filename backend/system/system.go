package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/throughline/throughline/backend/server"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/ui"
)

// Config says how to run the system.
type Config struct {
	Checkout Checkout
	Ports    Ports
	// Data is the directory that spans are kept in, or server.MemoryData.
	Data string
	// Self is the path of this program: it guards the services' processes.
	Self string
	// Environ is what the services' environment starts from; variables that
	// the system sets itself (HOST, PORT, …) are overridden in it.
	Environ []string
	// Backend, when set, is where the services send their spans, in the syntax of
	// TRACING_BACKEND_URL; no backend is run here then.
	Backend string
	// Version is what the backend says of itself.
	Version string
	// Out gets what a person reads: the steps, the table, the log lines.
	Out io.Writer
	// Ready, when set, is called once when every part can serve.
	Ready func()
}

// maxBytes bounds what a system keeps between its runs.
const maxBytes = 1 << 30

// readyWithin bounds how long a service may take from its start to readiness.
const readyWithin = 60 * time.Second

// Run sets up what is missing, starts everything, and returns when ctx ends
// (nil) or a part ends by itself (why). By then all of it has stopped.
func Run(ctx context.Context, c Config) error {
	if err := c.Ports.check(c.Backend == ""); err != nil {
		return err
	}
	out := &output{w: c.Out}
	if err := c.setup(ctx, out); err != nil {
		return err
	}

	// Parts are stopped in the reverse order of their start, so that what a
	// service flushes at its end still finds the backend.
	backendCtx, stopBackend := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackend()
	backend := &backend{} // one elsewhere never ends
	if c.Backend == "" {
		var err error
		if backend, err = startBackend(backendCtx, c, out); err != nil {
			return err
		}
		defer func() {
			stopBackend()
			<-backend.ended
		}()
	}

	var running []*process
	defer func() { stopAll(running) }()
	for _, s := range c.services() {
		p, err := startProcess(c.Self, s.name, s.dir, s.env, s.argv, out)
		if err != nil {
			return err
		}
		// The last started is the first stopped.
		running = append([]*process{p}, running...)
		if err := awaitReady(ctx, p, s.ready); err != nil {
			return untilSignal(ctx, err)
		}
	}
	articles, suggestions := running[0], running[1]
	c.printTable()
	if c.Ready != nil {
		c.Ready()
	}

	select {
	case <-ctx.Done():
		fmt.Fprintln(c.Out, "\nStopping …")
		return nil
	case <-backend.ended:
		return fmt.Errorf("the backend ended: %w", backend.err)
	case <-articles.exited:
		return articles.ended()
	case <-suggestions.exited:
		return suggestions.ended()
	}
}

// untilSignal is nil where the wait was cut short by a signal.
func untilSignal(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (c Config) setup(ctx context.Context, out *output) error {
	if err := os.MkdirAll(c.Checkout.path(".throughline"), 0o755); err != nil {
		return err
	}
	// Two systems may be started at the same time in one checkout.
	lock := flock.New(c.Checkout.path(".throughline", "setup.lock"))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return fmt.Errorf("waiting for another set-up of %q: %w", c.Checkout, err)
	}
	defer lock.Unlock()
	say := out.prefixed("up")
	return setup{c.Checkout, c.Self, func(format string, args ...any) {
		fmt.Fprintf(say, format+"\n", args...)
	}}.run(ctx)
}

type backend struct {
	ended chan struct{}
	err   error // read after ended
}

// startBackend runs the server in this process and returns when it serves.
func startBackend(ctx context.Context, c Config, out *output) (*backend, error) {
	b := &backend{ended: make(chan struct{})}
	ready := make(chan struct{})
	log := slog.New(slog.NewTextHandler(out.prefixed("throughline"), nil))
	go func() {
		defer close(b.ended)
		b.err = server.Run(ctx, server.Config{
			Listen:     loopback(c.Ports.UI),
			OTLPGRPC:   loopback(c.Ports.OTLPGRPC),
			OTLPHTTP:   loopback(c.Ports.OTLPHTTP),
			JaegerGRPC: loopback(c.Ports.JaegerGRPC),
			Data:       c.Data,
			Store:      store.Options{Durability: store.Durability{Sync: true}, MaxBytes: maxBytes},
			Version:    c.Version,
			UI:         ui.Handler(),
			Log:        log,
		}, func(server.Addresses) { close(ready) })
	}()
	select {
	case <-ready:
		return b, nil
	case <-b.ended:
		return nil, b.err
	}
}

// service is how one of the example services is started.
type service struct {
	name  string
	dir   string
	argv  []string
	env   []string
	ready string // a URL that answers 200 when it can serve
}

// services lists them in the order of their start: a service follows those it calls.
func (c Config) services() []service {
	tracing := c.tracingEnv()
	return []service{
		{
			name: "suggestions",
			dir:  c.Checkout.path("apps", "suggestions"),
			argv: []string{c.Checkout.python(), "app.py"},
			env: setenv(c.Environ, append(tracing,
				"HOST=127.0.0.1",
				"PORT="+strconv.Itoa(c.Ports.Suggestions),
				"DATA_SOURCE_FILENAME="+c.Checkout.SuggestionsFile(),
				"PYTHONUNBUFFERED=1")...),
			ready: "http://" + loopback(c.Ports.Suggestions) + "/readyz",
		},
		{
			name: "articles",
			dir:  c.Checkout.path("apps", "articles"),
			argv: []string{c.Checkout.articlesBinary()},
			env: setenv(c.Environ, append(tracing,
				"HOST=127.0.0.1",
				"PORT="+strconv.Itoa(c.Ports.Articles),
				"DATA_SOURCE_FILENAME="+c.Checkout.ArticlesFile(),
				"SUGGESTIONS_SERVICE_HOST=http://"+loopback(c.Ports.Suggestions))...),
			ready: "http://" + loopback(c.Ports.Articles) + "/readyz",
		},
	}
}

// tracingEnv points the services at this backend, unless the caller's
// environment names another, and has spans sent soon after they end.
func (c Config) tracingEnv() []string {
	var env []string
	if getenv(c.Environ, "OTEL_BSP_SCHEDULE_DELAY") == "" {
		env = append(env, "OTEL_BSP_SCHEDULE_DELAY=200")
	}
	switch {
	case c.Backend != "":
		env = append(env, "TRACING_BACKEND_URL="+c.Backend)
	case getenv(c.Environ, "TRACING_BACKEND_URL") == "":
		env = append(env, "TRACING_BACKEND_URL="+c.backendURL())
	}
	return env
}

// backendURL is where the services send spans: the receiver that speaks the
// protocol which the environment asks for.
func (c Config) backendURL() string {
	protocol := getenv(c.Environ, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = getenv(c.Environ, "OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	if strings.HasPrefix(protocol, "http/") {
		return "http://" + loopback(c.Ports.OTLPHTTP) + "/v1/traces"
	}
	return "http://" + loopback(c.Ports.OTLPGRPC)
}

// awaitReady asks until the service answers, ends, or the time is over.
func awaitReady(ctx context.Context, p *process, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.exited:
			return p.ended()
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%s is not ready after %v: %s does not answer 200", p.name, readyWithin, url)
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (c Config) printTable() {
	ui := "http://localhost:" + strconv.Itoa(c.Ports.UI)
	articles := "http://localhost:" + strconv.Itoa(c.Ports.Articles) + "/articles/v1/"
	spans, see := "this backend", "see its trace at "+ui
	if url := getenv(c.Environ, "TRACING_BACKEND_URL"); url != "" {
		spans = redact(url) + " (TRACING_BACKEND_URL)"
	}
	if c.Backend != "" {
		spans, see = redact(c.Backend)+" (--backend)", "see its trace there"
	}
	fmt.Fprint(c.Out, "\nThroughline is ready.\n\n")
	if c.Backend == "" {
		fmt.Fprintf(c.Out, "  Traces        %s\n", ui)
	}
	fmt.Fprintf(c.Out, "  articles      %s\n  suggestions   http://localhost:%d/suggestions/v1\n", articles, c.Ports.Suggestions)
	if c.Backend == "" {
		fmt.Fprintf(c.Out, "  OTLP          gRPC localhost:%d, HTTP http://localhost:%d/v1/traces\n", c.Ports.OTLPGRPC, c.Ports.OTLPHTTP)
	}
	fmt.Fprintf(c.Out, "  Spans go to   %s\n", spans)
	if c.Backend == "" {
		fmt.Fprintf(c.Out, "  Kept in       %s\n", c.Data)
	}
	fmt.Fprintf(c.Out, `
Try

  curl '%s?with_suggested=1'

and %s. Ctrl-C stops everything.

`, articles, see)
}

// redact leaves out what a list of backends may hold of secrets: each entry's
// headers, which follow a semicolon, and credentials in a URL.
func redact(list string) string {
	var shown []string
	for entry := range strings.SplitSeq(list, ",") {
		address, _, _ := strings.Cut(strings.TrimSpace(entry), ";")
		if at := strings.LastIndex(address, "@"); at >= 0 {
			address = "…" + address[at:]
		}
		shown = append(shown, address)
	}
	return strings.Join(shown, ", ")
}

// setenv returns env with the given "NAME=value" entries in the place of those
// of the same names.
func setenv(env []string, set ...string) []string {
	names := map[string]bool{}
	for _, kv := range set {
		name, _, _ := strings.Cut(kv, "=")
		names[name] = true
	}
	var all []string
	for _, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); !names[name] {
			all = append(all, kv)
		}
	}
	return append(all, set...)
}

// getenv returns the last value of a name, as a process would see it.
func getenv(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(env[i], name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Self is the running program's path, for Config.Self.
func Self() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}
