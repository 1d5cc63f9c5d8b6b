package ingest

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/throughline/throughline/backend/access"
	"github.com/throughline/throughline/backend/span"
)

const (
	tracesPath   = "/v1/traces"
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

func (r *Receiver) newHTTP() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc(tracesPath, r.traces)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", r.readyz)
	mux.HandleFunc("/", r.elsewhere)
	s := &http.Server{
		Handler:           r.guard(mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(r.config.Log.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true) // so that gRPC sent here can be answered
	if c := r.config.Certificates; c != nil {
		s.Protocols.SetHTTP2(true)
		s.TLSConfig = c.Config(access.HTTP, true)
	}
	return s
}

// ServeHTTP takes connections from l until Shutdown.
func (r *Receiver) ServeHTTP(l net.Listener) error {
	serve := r.http.Serve
	if r.config.Certificates != nil {
		serve = func(l net.Listener) error { return r.http.ServeTLS(l, "", "") }
	}
	err := serve(&sniffer{l, func(first []byte) (verdict, string) {
		switch reason := "plaintext sent to the HTTP port, which takes TLS: use https://"; {
		case isTLS(first) == (r.config.Certificates != nil):
			return expected, ""
		case !isTLS(first):
			r.refuse("http", reason)
			return foreign, httpReply(reason)
		}
		r.refuse("http", "TLS sent to the HTTP port, which takes plaintext: use http://")
		return foreign, ""
	}})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// guard turns a panic into a 500, knows gRPC on the wrong port, and refuses
// foreign hosts and origins.
func (r *Receiver) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				r.config.Log.Error("panic in the HTTP receiver", "path", req.URL.Path, "panic", p, "stack", string(debug.Stack()))
				r.fail(w, req, &refusal{codes.Internal, http.StatusInternalServerError, "internal error"})
			}
		}()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if strings.HasPrefix(req.Header.Get("Content-Type"), "application/grpc") {
			reason := "gRPC sent to the HTTP port: OTLP over gRPC goes to " + r.config.GRPCAddress
			if r.config.GRPCAddress == "" {
				reason = "gRPC sent to the HTTP port: OTLP over gRPC is turned off"
			}
			r.refuse("http", reason)
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", strconv.Itoa(int(codes.Unimplemented)))
			w.Header().Set("Grpc-Message", url.PathEscape(reason))
			return
		}
		if r.config.AllowHost != nil && !r.config.AllowHost(req.Host) {
			r.fail(w, req, &refusal{
				codes.PermissionDenied, http.StatusForbidden,
				fmt.Sprintf("host %.100q is not allowed: --allowed-hosts adds names", req.Host),
			})
			return
		}
		if r.cors(w, req) {
			next.ServeHTTP(w, req)
		}
	})
}

// cors answers preflight requests and reports whether to go on.
func (r *Receiver) cors(w http.ResponseWriter, req *http.Request) bool {
	origin := req.Header.Get("Origin")
	if origin == "" {
		return true
	}
	w.Header().Add("Vary", "Origin")
	if !slices.Contains(r.config.Origins, origin) {
		if req.Method == http.MethodOptions {
			r.fail(w, req, &refusal{
				codes.PermissionDenied, http.StatusForbidden,
				fmt.Sprintf("a page of %.100q wants to send spans: --otlp-cors-origins allows it", origin),
			})
			return false
		}
		return true // the page cannot read the answer
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	if req.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Allow-Methods", "POST")
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type, Content-Encoding, "+req.Header.Get("Access-Control-Request-Headers"))
		w.Header().Set("Access-Control-Max-Age", "7200")
		w.WriteHeader(http.StatusNoContent)
		return false
	}
	return true
}

func (r *Receiver) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := r.ready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// elsewhere answers for all other paths.
func (r *Receiver) elsewhere(w http.ResponseWriter, req *http.Request) {
	reason := fmt.Sprintf("%s %.100s: no such path, OTLP traces go to %s", req.Method, req.URL.Path, tracesPath)
	switch {
	case strings.HasSuffix(req.URL.Path, "/v1/metrics"):
		reason = "metrics are not received here, only traces (OTEL_METRICS_EXPORTER=none stops a client from sending them)"
	case strings.HasSuffix(req.URL.Path, "/v1/logs"):
		reason = "logs are not received here, only traces (OTEL_LOGS_EXPORTER=none stops a client from sending them)"
	}
	e := &refusal{codes.NotFound, http.StatusNotFound, reason}
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		r.write(w, req, e) // somebody looks around; no spans are lost
		return
	}
	r.fail(w, req, e)
}

// traces takes one export request.
func (r *Receiver) traces(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		r.fail(w, req, &refusal{
			codes.Unimplemented, http.StatusMethodNotAllowed,
			fmt.Sprintf("%.20s %s: spans are sent by POST", req.Method, tracesPath),
		})
		return
	}
	if !r.config.Tokens.AllowHeader(req.Header.Get("Authorization")) {
		r.deniedRequests.Add(1)
		w.Header().Set("WWW-Authenticate", `Bearer realm="throughline"`)
		r.fail(w, req, denied)
		return
	}
	began := time.Now()
	held := holding{receiver: r}
	defer held.release()
	request, rejected, err := r.read(w, req, &held)
	if err == nil {
		rejected, err = r.export(req.Context(), "http", request, rejected, began)
	}
	if err != nil {
		e, ok := errors.AsType[*refusal](err)
		if !ok {
			e = &refusal{codes.Internal, http.StatusInternalServerError, "internal error"}
			r.config.Log.Error("receiving spans", "error", err)
		}
		r.fail(w, req, e)
		return
	}
	body := span.AppendExportResponse(nil, &rejected)
	if contentType(req) == jsonType {
		body = span.AppendExportResponseJSON(nil, &rejected)
	}
	w.Header().Set("Content-Type", contentType(req))
	w.Write(body)
}

// contentType is one of the two that are taken, or empty.
func contentType(req *http.Request) string {
	t, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err == nil && (t == protobufType || t == jsonType) {
		return t
	}
	return ""
}

// fail counts a refused request and answers it.
func (r *Receiver) fail(w http.ResponseWriter, req *http.Request, e *refusal) {
	if e.code != codes.Canceled {
		r.refuse("http", e.reason)
	}
	// A client that still sends its request does not read the answer, and would
	// lose it when the connection is closed.
	_, _ = io.CopyN(io.Discard, req.Body, 4*r.config.Limits.Body)
	r.write(w, req, e)
}

// write answers with a google.rpc.Status in the request's content type, as OTLP
// wants it; in JSON when that is neither of the two.
func (r *Receiver) write(w http.ResponseWriter, req *http.Request, e *refusal) {
	st := &statuspb.Status{Code: int32(e.code), Message: strings.ToValidUTF8(e.reason, "\uFFFD")}
	t := contentType(req)
	var body []byte
	var err error
	if t == protobufType {
		body, err = proto.Marshal(st)
	} else {
		t = jsonType
		body, err = protojson.Marshal(st)
	}
	if err != nil {
		r.config.Log.Error("encoding a status", "error", err)
	}
	if e.code == codes.Unavailable {
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	}
	w.Header().Set("Content-Type", t)
	w.WriteHeader(e.status)
	w.Write(body)
}
