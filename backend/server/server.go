// Package server wires the backend together: the store, the OTLP receivers, and
// the HTTP server of the APIs and the web UI.
//
// Run starts them in that order and stops them in reverse: the HTTP server first
// stops answering new requests, then the receivers let the requests in work end,
// then the store closes. Everything listens before anything is said to be ready.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/throughline/throughline/backend/access"
	"github.com/throughline/throughline/backend/api"
	"github.com/throughline/throughline/backend/api/jaeger"
	"github.com/throughline/throughline/backend/ingest"
	"github.com/throughline/throughline/backend/store"
)

// Config is the settings of a server. Addresses are host:port; the port 0 takes a
// free one.
type Config struct {
	Listen     string // UI and APIs
	OTLPGRPC   string // OTLP over gRPC; empty turns it off
	OTLPHTTP   string // OTLP over HTTP; empty turns it off
	JaegerGRPC string // Jaeger's query service; empty turns it off

	Data   string // directory of the store; empty or MemoryData keeps all in memory
	Store  store.Options
	Limits ingest.Limits

	// TLS is spoken on every listener when its files are named.
	TLS TLS
	// OTLPToken is asked for by the receivers, APIToken by the UI and the APIs;
	// without any, who reaches the port may use it.
	OTLPToken, APIToken Token

	// AllowedHosts are names, beside the usual ones, that requests may be for;
	// see api.HostCheck.
	AllowedHosts []string
	// OTLPOrigins are the origins whose pages may send spans; see ingest.Config.
	OTLPOrigins []string

	Version string
	UI      http.Handler // nil serves no UI
	Log     *slog.Logger // nil means slog.Default

	// ShutdownTimeout bounds the stop; 0 means 5 s.
	ShutdownTimeout time.Duration
}

// TLS names PEM files, which are read again when they change.
type TLS struct {
	Cert, Key string
	// ClientCA, if it is not empty, holds the authorities of which the clients of
	// the receivers must show a certificate.
	ClientCA string
}

// Token is a bearer token or a file that has some, one a line, which is read again
// when it changes. The zero Token asks for none.
type Token struct{ Value, File string }

// Addresses are those that a server listens on, with their actual ports; one
// that is turned off is empty.
type Addresses struct {
	Listen, OTLPGRPC, OTLPHTTP, JaegerGRPC string
	TLS                                    bool
}

// URL is where a browser on this machine finds the UI.
func (a Addresses) URL() string {
	if a.TLS {
		return "https://" + reachable(a.Listen)
	}
	return "http://" + reachable(a.Listen)
}

// Run serves until ctx ends, and then stops in order; that is no error. It calls
// ready, unless it is nil, once everything can be reached.
func Run(ctx context.Context, config Config, ready func(Addresses)) (err error) {
	started := time.Now()
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.ShutdownTimeout == 0 {
		config.ShutdownTimeout = 5 * time.Second
	}
	config.Store.Log = config.Log
	config.Store.Limits.Depth = config.Limits.Depth

	guard, err := newGuard(config)
	if err != nil {
		return err
	}
	listeners, err := listen(config)
	if err != nil {
		return err
	}
	defer listeners.close()
	addresses := listeners.addresses()
	addresses.TLS = guard.certificates != nil
	guard.warn(config)

	db, err := openStore(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	figured := newMetrics(config)
	var stopping atomic.Bool
	receiver := ingest.New(ingest.Config{
		Store: db, Limits: config.Limits, Origins: config.OTLPOrigins,
		AllowHost: api.HostCheck(config.OTLPHTTP, config.AllowedHosts),
		Tokens:    guard.otlp, Certificates: guard.certificates,
		GRPCAddress: addresses.OTLPGRPC, HTTPAddress: addresses.OTLPHTTP,
		Observe: figured.observeExport, Log: config.Log,
	})
	figured.registry.MustRegister(&figures{db, receiver, config.Store.Retention})
	handler := api.New(api.Config{
		Store: db, Version: config.Version, Started: started, UI: config.UI, Log: config.Log,
		Receivers: receivers(addresses),
		Ingest:    func() api.Ingest { return ingested(receiver.Stats()) },
		AllowHost: api.HostCheck(config.Listen, config.AllowedHosts),
		Tokens:    guard.api,
		Retention: config.Store.Retention,
		Metrics:   figured.handler(), Observe: figured.observeQuery,
		Ready: func() error {
			if stopping.Load() {
				return errors.New("stopping")
			}
			return nil
		},
	})
	// Streams end with this context, because Shutdown waits for them.
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	web := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(config.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return requests },
		Protocols:         new(http.Protocols),
	}
	// Grafana's Tempo data source streams over gRPC on the port of the API.
	web.Protocols.SetHTTP1(true)
	web.Protocols.SetHTTP2(true)
	web.Protocols.SetUnencryptedHTTP2(true)
	web.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 100}
	query := (&jaeger.Handler{Store: db, Log: config.Log, Now: time.Now}).GRPC(guard.queryOptions()...)

	serveWeb := web.Serve
	if guard.certificates != nil {
		// Who reads is a person, asked for the token; see the manual.
		web.TLSConfig = guard.certificates.Config(access.HTTP, false)
		serveWeb = func(l net.Listener) error { return web.ServeTLS(l, "", "") }
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := serveWeb(listeners.web); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving the UI and APIs: %w", err)
		}
		return nil
	})
	if listeners.grpc != nil {
		group.Go(func() error { return receiver.ServeGRPC(listeners.grpc) })
	}
	if listeners.http != nil {
		group.Go(func() error { return receiver.ServeHTTP(listeners.http) })
	}
	if listeners.jaeger != nil {
		group.Go(func() error {
			if err := query.Serve(listeners.jaeger); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				return fmt.Errorf("serving Jaeger's query service: %w", err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		stopping.Store(true)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), config.ShutdownTimeout)
		defer cancel()
		endRequests()
		stopQueries(end, query)
		err := web.Shutdown(end)
		if err != nil {
			err = errors.Join(fmt.Errorf("stopping the UI and APIs: %w", err), web.Close())
		}
		return errors.Join(err, receiver.Shutdown(end))
	})
	config.Log.Info("ready", "ui", addresses.URL(), "otlp_grpc", addresses.OTLPGRPC, "otlp_http", addresses.OTLPHTTP, "jaeger_grpc", addresses.JaegerGRPC,
		"store", config.where(), "max_bytes", db.Stats().MaxBytes, "start", time.Since(started).Round(time.Microsecond))
	if ready != nil {
		ready(addresses)
	}
	err = group.Wait()
	s := db.Stats()
	config.Log.Info("stopped", "traces", s.Traces, "spans", s.Spans)
	return err
}

// stopQueries lets the calls in work end until ctx does.
func stopQueries(ctx context.Context, s *grpc.Server) {
	defer context.AfterFunc(ctx, s.Stop)()
	s.GracefulStop()
}

// MemoryData is the Config.Data of a store that is gone when the process ends.
const MemoryData = ":memory:"

func (c *Config) inMemory() bool { return c.Data == "" || c.Data == MemoryData }

func (c *Config) where() string {
	if c.inMemory() {
		return "memory"
	}
	return c.Data
}

func openStore(config Config) (*store.DB, error) {
	if config.inMemory() {
		limitMemory(config.Store.MaxBytes)
		return store.New(config.Store), nil
	}
	limitMemory(diskMemory)
	if os.Getenv("GOGC") == "" {
		// What lives is small beside the limit: rather some more memory than a
		// collection in the middle of every large query.
		debug.SetGCPercent(200)
	}
	db, err := store.Open(config.Data, config.Store)
	if errors.Is(err, store.ErrLocked) {
		err = fmt.Errorf("%w; end the throughline that has it, or choose another by --data", err)
	}
	return db, err
}

// diskMemory is what a store on disk needs in memory: a head that is filled and
// one that is sealed.
const diskMemory = 96 << 20

func receivers(a Addresses) []api.Receiver {
	list := []api.Receiver{}
	if a.OTLPGRPC != "" {
		list = append(list, api.Receiver{Protocol: "grpc", Address: a.OTLPGRPC})
	}
	if a.OTLPHTTP != "" {
		list = append(list, api.Receiver{Protocol: "http", Address: a.OTLPHTTP})
	}
	return list
}

func ingested(s ingest.Stats) api.Ingest {
	return api.Ingest{
		AcceptedSpans: s.AcceptedSpans, RejectedSpans: s.RejectedSpans, RejectedRequests: s.RejectedRequests,
		LastAccepted: s.LastAccepted, LastRejected: api.Rejection(s.LastRejected),
	}
}

// limitMemory makes the garbage collector run before the heap grows to twice
// what the store holds, unless the environment has set a limit. What is held is
// mostly free of pointers, so that collecting it often is cheap.
func limitMemory(maxBytes int64) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if maxBytes <= 0 {
		maxBytes = store.DefaultMaxBytes
	}
	if maxBytes < math.MaxInt64/2 {
		debug.SetMemoryLimit(maxBytes + maxBytes/4 + 96<<20)
	}
}
