// Package jaeger serves Jaeger's read APIs: version 1 and 3 over HTTP, as the
// Jaeger UI and Grafana's Jaeger data source use them, and version 3 over gRPC.
//
// Answers are those of Jaeger 2 from the same spans. Parameters that are not known
// are ignored, as Jaeger does. What Jaeger makes of its configuration and this
// server does not have, archives and quality metrics, is answered by 501.
package jaeger

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// Handler answers from a store. All of its exported fields are needed.
type Handler struct {
	Store *store.DB
	Log   *slog.Logger
	Now   func() time.Time

	transforming sync.Mutex
}

// Routes adds the HTTP endpoints.
func (h *Handler) Routes(mux *http.ServeMux) {
	v1 := func(pattern string, f reply.Func) { mux.Handle(pattern, h.v1(reply.Get, f)) }
	v1("/api/services", h.services)
	v1("/api/services/{service}/operations", h.serviceOperations)
	v1("/api/operations", h.operations)
	v1("/api/traces", h.traces)
	v1("/api/traces/{traceID}", h.trace)
	v1("/api/dependencies", h.dependencies)
	v1("/api/metrics/latencies", h.latencies)
	v1("/api/metrics/calls", h.calls)
	v1("/api/metrics/errors", h.errors)
	v1("/api/quality-metrics", unsupported)
	v1("/api/deep-dependencies", unsupported)
	v1("/api/", func(_ http.ResponseWriter, r *http.Request) error {
		return reply.NotFound("%.100s: no such path", r.URL.Path)
	})
	mux.Handle("/api/transform", h.v1(reply.Post, h.transform))
	mux.Handle("/api/archive/{traceID}", h.v1(reply.Post, unsupported))

	v3 := func(pattern string, f reply.Func) { mux.Handle(pattern, h.v3(f)) }
	v3("/api/v3/services", h.servicesV3)
	v3("/api/v3/operations", h.operationsV3)
	v3("/api/v3/traces", h.tracesV3)
	v3("/api/v3/traces/{traceID}", h.traceV3)
	v3("/api/v3/trace-summaries", h.summariesV3)
	v3("/api/v3/dependencies", h.dependenciesV3)
	v3("/api/v3/", func(_ http.ResponseWriter, r *http.Request) error {
		return reply.NotFound("%.100s: no such path", r.URL.Path)
	})
}

func unsupported(_ http.ResponseWriter, r *http.Request) error {
	return reply.Unsupported("%.100s: not supported by this server", r.URL.Path)
}

// serviceNames lists the services by Jaeger's names, sorted. A service without a
// name has two of them, by whether the attribute is missing or empty.
func (h *Handler) serviceNames(ctx context.Context) ([]string, error) {
	names := []string{}
	for _, svc := range h.Store.Services() {
		if svc.Name != "" {
			names = append(names, svc.Name)
			continue
		}
		for _, name := range []string{missingService, emptyService} {
			found, err := h.Store.Search(ctx, namelessFilter(name))
			if err != nil {
				return nil, err
			}
			if len(found.Traces) > 0 {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

type operation struct {
	Name     string `json:"name"`
	SpanKind string `json:"spanKind"`
}

// operationsOf lists the operations of a service, or of all when it is empty,
// with a kind or, when it is empty, with any. An unspecified kind is empty.
func (h *Handler) operationsOf(ctx context.Context, service, kind string) ([]operation, error) {
	var of *string
	if service != "" {
		of = new(storedService(service))
	}
	list := []operation{}
	for _, op := range h.Store.Operations(of) {
		if of != nil && *of == "" {
			f := namelessFilter(service)
			f.Name, f.Kind = &op.Name, &op.Kind
			found, err := h.Store.Search(ctx, f)
			if err != nil {
				return nil, err
			}
			if len(found.Traces) == 0 {
				continue // of the other service without a name
			}
		}
		o := operation{spanName(op.Name), op.Kind.String()}
		if o.SpanKind == "unspecified" {
			o.SpanKind = ""
		}
		if (kind == "" || kind == o.SpanKind) && !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	return list, nil
}

type dependency struct {
	Parent    string
	Child     string
	CallCount int
}

// edges returns the calls between services in a range of time, of one service or, when it is
// empty, of all.
func (h *Handler) edges(ctx context.Context, start, end time.Time, service string) ([]dependency, error) {
	edges, err := h.Store.Dependencies(ctx, uint64(max(1, start.UnixNano())), uint64(max(1, end.UnixNano())))
	if err != nil {
		return nil, err
	}
	list := []dependency{}
	for _, e := range edges {
		d := dependency{serviceName(e.Parent), serviceName(e.Child), e.CallCount}
		if service == "" || service == d.Parent || service == d.Child {
			list = append(list, d)
		}
	}
	return list, nil
}

// each calls emit with the traces, which are in memory one at a time, and missing,
// unless it is nil, with the ids of those that are not held.
func (h *Handler) each(ctx context.Context, ids []span.TraceID, emit func(*span.Trace) error, missing func(span.TraceID)) error {
	for _, id := range ids {
		trace, _, err := h.Store.Trace(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			if missing != nil {
				missing(id)
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := emit(trace); err != nil {
			return err
		}
	}
	return nil
}

func idsOf(found []span.Summary) []span.TraceID {
	ids := make([]span.TraceID, len(found))
	for i := range found {
		ids[i] = found[i].TraceID
	}
	return ids
}
