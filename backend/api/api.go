// Package api serves what the store holds over HTTP: the native JSON API that the
// web UI uses (api.md is its contract, openapi.json its description), and beside
// it the read APIs of Jaeger and Tempo, which packages of their own make
// (compatibility.md).
//
// Every answer is bounded by the request's limit or by one trace, and every query
// by time and memory. Errors have a code for programs and a sentence for people;
// what went wrong inside goes to the log. Nothing here writes to the store, and no
// other origin may read: there is no CORS, and requests for a foreign host name
// are refused (see [HostCheck]). With tokens, all but the health is answered only
// to who has one: programs send it in the Authorization header, browsers exchange
// it for a cookie at /login.
package api

import (
	"compress/gzip"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/throughline/throughline/backend/access"
	"github.com/throughline/throughline/backend/api/jaeger"
	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/api/tempo"
	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/store"
)

// Config is what the handler serves.
type Config struct {
	Store   *store.DB
	Version string
	Started time.Time
	// Retention is how long spans are kept, 0 for as long as there is room.
	Retention time.Duration
	// Receivers lists where spans can be sent.
	Receivers []Receiver
	// Ingest returns the receivers' figures.
	Ingest func() Ingest
	// AllowHost decides about the Host header; nil allows all.
	AllowHost func(host string) bool
	// Tokens are asked for; nil answers everybody.
	Tokens *access.Tokens
	// Metrics answers /metrics; nil leaves it out.
	Metrics http.Handler
	// Observe, unless it is nil, is told how long answers took, by the pattern of
	// their path; those that last as long as the client likes are left out.
	Observe func(pattern string, took time.Duration)
	// Ready reports why the server cannot serve, nil when it can.
	Ready func() error
	// UI serves every path that is none of the API's; it may be nil.
	UI http.Handler

	Log *slog.Logger     // nil means slog.Default
	Now func() time.Time // nil means time.Now
}

// Receiver is an address that takes spans.
type Receiver struct {
	Protocol string `json:"protocol"` // grpc or http
	Address  string `json:"address"`
}

// Ingest is what the receivers took and refused.
type Ingest struct {
	AcceptedSpans    uint64
	RejectedSpans    uint64
	RejectedRequests uint64
	LastAccepted     time.Time // zero while there is none
	LastRejected     Rejection // its Time is zero while there is none
}

// Rejection is the last request that was refused.
type Rejection struct {
	Time     time.Time
	Protocol string
	Reason   string
}

const (
	nativePath = "/api/native/v1/"
	streamPath = nativePath + "stream"
	exportPath = nativePath + "export"
)

// maxForm bounds the body of a login.
const maxForm = 16 << 10

type server struct {
	Config
	query   *query.Engine
	streams atomic.Int64
}

// New returns the handler of all paths of the UI's port.
func New(config Config) http.Handler {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &server{Config: config, query: query.New(config.Store, query.Options{Timeout: reply.QueryTime})}
	mux := http.NewServeMux()
	for path, h := range s.native() {
		check := reply.Get
		if p := nativePath + path; p == streamPath || p == exportPath { // which take as long as they take
			check = reply.Stream
		}
		mux.Handle(nativePath+path, s.handle(check, h))
	}
	mux.Handle("/api/native/", s.handle(reply.Get, s.unknown))
	t := &tempo.Handler{Store: config.Store, Query: s.query, Version: config.Version, Log: config.Log, Now: config.Now, Ready: config.Ready}
	t.Routes(mux)
	(&jaeger.Handler{Store: config.Store, Log: config.Log, Now: config.Now}).Routes(mux)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	if config.Metrics != nil {
		mux.Handle("GET /metrics", config.Metrics)
	}
	mux.HandleFunc("GET "+loginPath, s.login)
	mux.HandleFunc("POST "+loginPath, s.login)
	mux.HandleFunc("POST "+logoutPath, s.logout)
	if config.UI != nil {
		mux.Handle("/", config.UI)
	}
	// Server-sent events are not compressed: gzhttp leaves that content type alone.
	compress, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.ContentTypes([]string{
		"application/json", "text/html", "text/css", "text/javascript", "application/javascript", "image/svg+xml",
	}))
	if err != nil {
		panic(err) // the options are constants
	}
	// gRPC frames and compresses by itself.
	all := http.NewServeMux()
	all.Handle(tempo.GRPCPath, t.GRPC())
	all.Handle("/", compress(mux))
	return s.guard(all)
}

// native is the endpoints of the native API by their paths below nativePath.
func (s *server) native() map[string]reply.Func {
	return map[string]reply.Func{
		"status":                s.status,
		"services":              s.services,
		"operations":            s.operations,
		"operations/statistics": s.operationStatistics,
		"edges":                 s.edges,
		"traces":                s.traces,
		"traces/{traceId}":      s.trace,
		"search":                s.searchTraceQL,
		"metrics":               s.seriesTraceQL,
		"metrics/instant":       s.instantTraceQL,
		"attributes":            s.attributes,
		"attributes/values":     s.attributeValues,
		"stream":                s.stream,
		"export":                s.export,
		"openapi.json":          s.describe,
	}
}

// handle writes the errors of h as the native API has them.
func (s *server) handle(check func(http.ResponseWriter, *http.Request, reply.Func) error, h reply.Func) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := check(w, r, h); err != nil {
			writeError(w, reply.From(r.Context(), s.Log, err))
		}
	})
}

func writeError(w http.ResponseWriter, e *reply.Error) {
	reply.Fault(w, e, map[string]any{"error": map[string]string{"code": e.Code, "message": e.Message}})
}

func (s *server) ready(w http.ResponseWriter, _ *http.Request) {
	if s.Ready != nil {
		if err := s.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
	if s.Store.Stats().Unwritable != nil {
		fmt.Fprintln(w, "spans are refused, because the store cannot write; what is stored is served")
	}
}

// guard sets the headers of every answer, refuses foreign hosts and who has no
// token, and turns a panic into a 500.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.Log.Error("panic while answering", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			writeError(w, reply.Internal)
		}()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if s.AllowHost != nil && !s.AllowHost(r.Host) {
			writeError(w, &reply.Error{
				Code: "forbidden_host", Status: http.StatusForbidden,
				Message: fmt.Sprintf("host %.100q is not allowed: this server was bound to loopback; --allowed-hosts adds names", r.Host),
			})
			return
		}
		if !s.allowed(r) {
			s.deny(w, r)
			return
		}
		if r.URL.Path == loginPath || r.URL.Path == logoutPath {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		}
		began := time.Now()
		next.ServeHTTP(w, r)
		if s.Observe != nil && r.Pattern != streamPath && r.Pattern != exportPath {
			s.Observe(r.Pattern, time.Since(began))
		}
	})
}
