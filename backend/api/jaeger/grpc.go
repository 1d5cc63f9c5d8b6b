package jaeger

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/api/wire"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// The messages of jaeger.api_v3, whose fields are those of
// https://github.com/jaegertracing/jaeger-idl/blob/main/proto/api_v3/query_service.proto

const queryService = "jaeger.api_v3.QueryService"

// GRPC makes the server of the query service of version 3, for a port of its own;
// options are those of its transport.
func (h *Handler) GRPC(options ...grpc.ServerOption) *grpc.Server {
	s := wire.NewServer(h.Log, options...)
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: queryService,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{
			wire.Method("GetTrace", h.getTrace),
			wire.Method("FindTraces", h.findTraces),
			wire.Method("FindTraceSummaries", h.findTraceSummaries),
			wire.Method("GetServices", h.getServices),
			wire.Method("GetOperations", h.getOperations),
			wire.Method("GetDependencies", h.getDependencies),
		},
	}, nil)
	healthy := health.NewServer()
	healthy.SetServingStatus(queryService, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(s, healthy)
	return s
}

type getTraceRequest struct{ traceID string }

func (r *getTraceRequest) ReadField(f wire.Field) error {
	if f.Number == 1 {
		r.traceID = f.String()
	}
	return nil // the range is a hint where to look, and nothing is adjusted
}

func (h *Handler) getTrace(ctx context.Context, r *getTraceRequest, send func(wire.Response) error) error {
	id, err := parseTraceID(r.traceID)
	if err != nil {
		return reply.Invalid("%v", err)
	}
	trace, _, err := h.Store.Trace(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil // as Jaeger: no spans, and no error
	}
	if err != nil {
		return err
	}
	return sendTrace(trace, send)
}

// chunkSpans bounds the spans of one message: clients take 4 MiB by default.
const chunkSpans = 1000

func sendTrace(t *span.Trace, send func(wire.Response) error) error {
	for spans := range slices.Chunk(named(t.Spans), chunkSpans) {
		if err := send(wire.Bytes(span.EncodeProto(spans))); err != nil {
			return err
		}
	}
	return nil
}

// findRequest is FindTracesRequest and, by the same fields, FindTraceSummariesRequest.
type findRequest struct {
	search
	start, end time.Time
	given      bool
	refused    string // a field that changes the answer and is not supported
}

func (r *findRequest) ReadField(f wire.Field) error {
	if f.Number != 1 {
		return nil
	}
	r.given = true
	return wire.Read(f.Bytes, r.readQuery)
}

func (r *findRequest) readQuery(f wire.Field) (err error) {
	switch f.Number {
	case 1:
		r.service = f.String()
	case 2:
		r.operation = f.String()
	case 3:
		var key, value string
		err = wire.Read(f.Bytes, func(f wire.Field) error {
			switch f.Number {
			case 1:
				key = f.String()
			case 2:
				value = f.String()
			}
			return nil
		})
		if r.tags == nil {
			r.tags = map[string]string{}
		}
		r.tags[key] = value
	case 4:
		r.start, err = readTime(f.Bytes)
	case 5:
		r.end, err = readTime(f.Bytes)
	case 6:
		r.minDuration, err = readDuration(f.Bytes)
	case 7:
		r.maxDuration, err = readDuration(f.Bytes)
	case 8:
		r.limit = int(int32(f.N))
	case 10:
		r.refused = "filter"
	case 11:
		r.refused = "pagination"
	}
	return err
}

// readPair reads a Timestamp or a Duration.
func readPair(message []byte) (seconds int64, nanos int32, err error) {
	err = wire.Read(message, func(f wire.Field) error {
		switch f.Number {
		case 1:
			seconds = int64(f.N)
		case 2:
			nanos = int32(f.N)
		}
		return nil
	})
	return seconds, nanos, err
}

func readTime(message []byte) (time.Time, error) {
	seconds, nanos, err := readPair(message)
	if err != nil {
		return time.Time{}, err
	}
	if seconds < 0 || seconds > maxSeconds || nanos < 0 || nanos > 999_999_999 {
		return time.Time{}, errors.New("time out of range")
	}
	return time.Unix(seconds, int64(nanos)), nil
}

func readDuration(message []byte) (time.Duration, error) {
	seconds, nanos, err := readPair(message)
	if err != nil {
		return 0, err
	}
	if seconds < 0 || seconds > maxSeconds || nanos < 0 || nanos > 999_999_999 {
		return 0, errors.New("duration out of range")
	}
	return time.Duration(seconds)*time.Second + time.Duration(nanos), nil
}

func (r *findRequest) checked() (*search, error) {
	switch {
	case !r.given:
		return nil, reply.Invalid("missing query")
	case r.refused != "":
		return nil, reply.Unsupported("query.%s is not supported", r.refused)
	case r.start.IsZero() || r.end.IsZero():
		return nil, reply.Invalid("start time min and max are required parameters")
	}
	if r.limit <= 0 {
		r.limit = defaultLimit
	}
	if err := r.between(r.start, r.end); err != nil {
		return nil, err
	}
	return &r.search, nil
}

func (h *Handler) findTraces(ctx context.Context, r *findRequest, send func(wire.Response) error) error {
	in, err := r.checked()
	if err != nil {
		return err
	}
	found, err := h.find(ctx, in)
	if err != nil {
		return err
	}
	return h.each(ctx, idsOf(found), func(t *span.Trace) error { return sendTrace(t, send) }, nil)
}

// chunkSummaries bounds the summaries of one message.
const chunkSummaries = 1000

func (h *Handler) findTraceSummaries(ctx context.Context, r *findRequest, send func(wire.Response) error) error {
	in, err := r.checked()
	if err != nil {
		return err
	}
	found, err := h.find(ctx, in)
	if err != nil {
		return err
	}
	for traces := range slices.Chunk(found, chunkSummaries) {
		var out wire.Bytes
		for i := range traces {
			out = wire.AppendMessage(out, 1, summaryOf(&traces[i]))
		}
		if err := send(out); err != nil {
			return err
		}
	}
	return nil
}

func (s summary) AppendProto(dst []byte) []byte {
	dst = wire.AppendString(dst, 1, s.TraceID)
	dst = wire.AppendString(dst, 2, s.RootService)
	dst = wire.AppendString(dst, 3, s.RootOperation)
	dst = wire.AppendFixed64(dst, 4, s.MinStart)
	dst = wire.AppendFixed64(dst, 5, s.MaxEnd)
	dst = wire.AppendUint(dst, 6, uint64(s.SpanCount))
	dst = wire.AppendUint(dst, 7, uint64(s.ErrorSpanCount))
	dst = wire.AppendUint(dst, 8, uint64(s.OrphanSpanCount))
	for _, c := range s.Services {
		dst = wire.AppendMessage(dst, 9, c)
	}
	return dst
}

func (s serviceSummary) AppendProto(dst []byte) []byte {
	dst = wire.AppendString(dst, 1, s.Name)
	dst = wire.AppendUint(dst, 2, uint64(s.SpanCount))
	return wire.AppendUint(dst, 3, uint64(s.ErrorSpanCount))
}

type getServicesRequest struct{}

func (*getServicesRequest) ReadField(wire.Field) error { return nil }

func (h *Handler) getServices(ctx context.Context, _ *getServicesRequest, send func(wire.Response) error) error {
	names, err := h.serviceNames(ctx)
	if err != nil {
		return err
	}
	var out wire.Bytes
	for _, name := range names {
		out = wire.AppendElement(out, 1, name)
	}
	return send(out)
}

type getOperationsRequest struct{ service, kind string }

func (r *getOperationsRequest) ReadField(f wire.Field) error {
	switch f.Number {
	case 1:
		r.service = f.String()
	case 2:
		r.kind = f.String()
	}
	return nil
}

func (h *Handler) getOperations(ctx context.Context, r *getOperationsRequest, send func(wire.Response) error) error {
	if r.service == "" {
		return reply.Invalid("service is required")
	}
	list, err := h.operationsOf(ctx, r.service, r.kind)
	if err != nil {
		return err
	}
	var out wire.Bytes
	for _, op := range list {
		out = wire.AppendMessage(out, 1, op)
	}
	return send(out)
}

func (o operation) AppendProto(dst []byte) []byte {
	return wire.AppendString(wire.AppendString(dst, 1, o.Name), 2, o.SpanKind)
}

type getDependenciesRequest struct{ start, end time.Time }

func (r *getDependenciesRequest) ReadField(f wire.Field) (err error) {
	switch f.Number {
	case 1:
		r.start, err = readTime(f.Bytes)
	case 2:
		r.end, err = readTime(f.Bytes)
	}
	return err
}

func (h *Handler) getDependencies(ctx context.Context, r *getDependenciesRequest, send func(wire.Response) error) error {
	edges, err := h.between(ctx, r.start, r.end)
	if err != nil {
		return err
	}
	var out wire.Bytes
	for _, e := range edges {
		out = wire.AppendMessage(out, 1, e)
	}
	return send(out)
}

func (d dependency) AppendProto(dst []byte) []byte {
	dst = wire.AppendString(wire.AppendString(dst, 1, d.Parent), 2, d.Child)
	return wire.AppendUint(dst, 3, uint64(d.CallCount))
}
