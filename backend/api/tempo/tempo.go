// Package tempo serves the read API of Grafana Tempo below /tempo, as Grafana's
// Tempo data source and Traces Drilldown use it: traces by id, search and metrics
// by TraceQL, names and values of attributes; over HTTP, in JSON and protobuf, and
// over gRPC as the streaming querier.
//
// JSON is that of Tempo's protobuf messages: clients that refuse unknown fields
// take it, lists are never null, 64-bit integers are text. An error is text, with
// its HTTP status. Parameters that are not known are ignored.
package tempo

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"google.golang.org/grpc"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/api/wire"
	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/store"
)

// Handler answers from a store. All of its fields are needed but Ready.
type Handler struct {
	Store   *store.DB
	Query   *query.Engine
	Version string
	Log     *slog.Logger
	Now     func() time.Time
	// Ready reports why the server cannot serve, nil when it can.
	Ready func() error
}

// apiVersion is the version of Tempo whose API this is; Grafana decides by it
// which requests it makes.
const apiVersion = "3.0.0"

// Routes adds the HTTP endpoints.
func (h *Handler) Routes(mux *http.ServeMux) {
	get := func(path string, f reply.Func) { mux.Handle("/tempo"+path, h.handle(f)) }
	get("/ready", h.ready)
	get("/api/echo", func(w http.ResponseWriter, _ *http.Request) error {
		writeText(w, http.StatusOK, "echo")
		return nil
	})
	get("/api/status/buildinfo", h.buildInfo)
	get("/api/traces/{traceID}", h.trace)
	get("/api/v2/traces/{traceID}", h.traceV2)
	get("/api/search", h.search)
	get("/api/search/tags", h.tags)
	get("/api/v2/search/tags", h.tagsV2)
	get("/api/search/tag/{tag}/values", h.tagValues)
	get("/api/v2/search/tag/{tag}/values", h.tagValuesV2)
	get("/api/metrics/query_range", h.metricsRange)
	get("/api/metrics/query", h.metricsInstant)
	get("/", func(_ http.ResponseWriter, r *http.Request) error {
		return reply.NotFound("%.100s: no such path", r.URL.Path)
	})
}

// GRPCPath is below which HTTP/2 requests are for the server that GRPC makes.
const GRPCPath = "/" + streamingQuerier + "/"

const streamingQuerier = "tempopb.StreamingQuerier"

// GRPC makes the streaming querier, which answers each call by one message: the
// whole of the answer.
func (h *Handler) GRPC() *grpc.Server {
	s := wire.NewServer(h.Log)
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: streamingQuerier,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{
			wire.Method("Search", h.streamSearch),
			wire.Method("SearchTags", h.streamTags),
			wire.Method("SearchTagsV2", h.streamTagsV2),
			wire.Method("SearchTagValues", h.streamTagValues),
			wire.Method("SearchTagValuesV2", h.streamTagValuesV2),
			wire.Method("MetricsQueryRange", h.streamRange),
			wire.Method("MetricsQueryInstant", h.streamInstant),
		},
	}, nil)
	return s
}

func (h *Handler) handle(f reply.Func) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := reply.Get(w, r, f); err != nil {
			e := reply.From(r.Context(), h.Log, err)
			writeText(w, e.Status, e.Message)
		}
	})
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

func (h *Handler) ready(w http.ResponseWriter, _ *http.Request) error {
	if h.Ready != nil {
		if err := h.Ready(); err != nil {
			return &reply.Error{Code: "unavailable", Status: http.StatusServiceUnavailable, Message: err.Error()}
		}
	}
	writeText(w, http.StatusOK, "ready\n")
	return nil
}

func (h *Handler) buildInfo(w http.ResponseWriter, _ *http.Request) error {
	return reply.JSON(w, map[string]string{
		"version": apiVersion + "+throughline", "revision": h.Version, "branch": "", "buildUser": "", "buildDate": "",
		"goVersion": fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH),
	})
}
