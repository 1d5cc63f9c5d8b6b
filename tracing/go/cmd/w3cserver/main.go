// Command w3cserver is the service under test of the W3C trace-context suite
// (https://github.com/w3c/trace-context, folder test), built of this module's middleware, transport and propagator.
//
//	go run ./tracing/go/cmd/w3cserver --port 5000
//	SPEC_LEVEL=2 STRICT_LEVEL=2 python3 test.py http://127.0.0.1:5000/test
//
// POST /test takes a JSON list of {"url", "arguments"} and posts each arguments to its url within the request's trace.
// It calls whatever it is told to, so it listens on the loopback alone unless --host says otherwise.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	tracing "github.com/throughline/throughline/tracing/go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "w3cserver: %v\n", err)
		os.Exit(1)
	}
}

// run serves until ctx ends and prints the endpoint's URL first.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("w3cserver", flag.ContinueOnError)
	fs.SetOutput(stderr)
	host := fs.String("host", "127.0.0.1", "address to listen on")
	port := fs.String("port", "5000", "port to listen on, 0 for a free one")
	if err := fs.Parse(args); err != nil {
		return err
	}
	shutdown, err := tracing.Start(ctx, tracing.Config{ServiceName: "w3cserver"})
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort(*host, *port))
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: newHandler(), ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(stdout, "http://%s/test\n", ln.Addr())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		err = srv.Close()
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	// The suite runs without a backend; spans that go nowhere are no failure of it.
	_ = shutdown(stop)
	return err
}

// callback is one call that the harness asks for.
type callback struct {
	URL       string          `json:"url"`
	Arguments json.RawMessage `json:"arguments"`
}

func newHandler() http.Handler {
	client := &http.Client{Transport: tracing.Transport(nil), Timeout: 4 * time.Second}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /test", func(w http.ResponseWriter, r *http.Request) {
		var callbacks []callback
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&callbacks); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, c := range callbacks {
			if err := c.call(r.Context(), client); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
		}
	})
	return tracing.Middleware(mux)
}

func (c callback) call(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(c.Arguments))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return err
}
