package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unsafe"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	_ "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/throughline/throughline/backend/access"
	"github.com/throughline/throughline/backend/span"
)

const traceService = "opentelemetry.proto.collector.trace.v1.TraceService"

// request and response hold the bytes of the messages: the decoder of package
// span reads them in place.
type request struct {
	body   string // valid until buffer is freed
	buffer mem.Buffer
}

type response struct{ body []byte }

// codec passes OTLP messages as bytes and leaves all others, such as those of the
// health service, to protobuf.
type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if r, ok := v.(*response); ok {
		return mem.BufferSlice{mem.SliceBuffer(r.body)}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(*request)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	r.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	bytes := r.buffer.ReadOnlyData()
	r.body = unsafe.String(unsafe.SliceData(bytes), len(bytes))
	return nil
}

func (r *Receiver) newGRPC() *grpc.Server {
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2("proto")}),
		grpc.MaxRecvMsgSize(int(r.config.Limits.Decompressed)),
		grpc.MaxConcurrentStreams(64),
		// A request of 500 spans is 200 KB: these save half of the system calls.
		grpc.ReadBufferSize(256 << 10),
		grpc.InitialWindowSize(1 << 20),
		grpc.InitialConnWindowSize(4 << 20),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.StatsHandler(observer{r}),
		grpc.UnknownServiceHandler(r.unknownMethod),
	}
	if c := r.config.Certificates; c != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(c.Config(access.GRPC, true))))
	}
	s := grpc.NewServer(options...)
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: traceService,
		HandlerType: (*any)(nil),
		// On the wire a unary call is a stream of one message each way. As a stream
		// it is the handler that reads the request, once there is room for it.
		Streams: []grpc.StreamDesc{{StreamName: "Export", Handler: r.exportGRPC}},
	}, nil)
	healthpb.RegisterHealthServer(s, &grpcHealth{health.NewServer(), r})
	return s
}

// grpcHealth answers as /readyz does. It asks for no token.
type grpcHealth struct {
	*health.Server
	r *Receiver
}

func (h *grpcHealth) Check(ctx context.Context, in *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	status := healthpb.HealthCheckResponse_SERVING
	if h.r.ready() != nil {
		status = healthpb.HealthCheckResponse_NOT_SERVING
	}
	h.SetServingStatus(traceService, status)
	h.SetServingStatus("", status)
	return h.Server.Check(ctx, in)
}

// ServeGRPC takes connections from l until Shutdown.
func (r *Receiver) ServeGRPC(l net.Listener) error {
	err := r.grpc.Serve(&sniffer{l, r.sniffGRPC})
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// receiveTime is how long a request may take to come once it is being read, and
// patience how long while others wait for that.
const receiveTime, patience = 30 * time.Second, time.Second

// takeSlot waits for a place among the requests in work. While there is none, one
// that has been coming for long gives way: clients that stall hold up nobody.
func (r *Receiver) takeSlot(ctx context.Context) error {
	select {
	case r.slots <- struct{}{}:
		return nil
	default:
	}
	giveWay := r.giveWay
	var again <-chan time.Time
	for {
		select {
		case r.slots <- struct{}{}:
			return nil
		case giveWay <- struct{}{}:
			giveWay, again = nil, time.After(patience) // its place is free in a moment
		case <-again: // another one took it
			giveWay = r.giveWay
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

func (r *Receiver) exportGRPC(_ any, stream grpc.ServerStream) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.config.Log.Error("panic in the gRPC receiver", "panic", p, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "internal error")
		}
	}()
	ctx := stream.Context()
	if t := r.config.Tokens; t != nil {
		md, _ := metadata.FromIncomingContext(ctx)
		if !slices.ContainsFunc(md.Get("authorization"), t.AllowHeader) {
			r.deniedRequests.Add(1)
			return grpcError(denied)
		}
	}
	if err := r.takeSlot(ctx); err != nil {
		return err
	}
	defer func() { <-r.slots }()
	in, err := r.receive(stream)
	if err != nil {
		return err
	}
	began := time.Now()
	defer in.buffer.Free()
	body := in.body
	if wire := wireLength(ctx); wire > r.config.Limits.Body {
		return status.Errorf(codes.ResourceExhausted, "request of %d bytes: the limit is %d bytes", wire, r.config.Limits.Body)
	}
	held := holding{receiver: r}
	defer held.release()
	if busy := held.hold(cost(len(body), false)); busy != nil {
		return grpcError(busy)
	}
	rejected, err := r.export(ctx, "grpc", body, span.Rejected{}, began)
	if err != nil {
		return grpcError(err)
	}
	return stream.SendMsg(&response{span.AppendExportResponse(nil, &rejected)})
}

// receive reads the request; a client that takes too long is left.
func (r *Receiver) receive(stream grpc.ServerStream) (request, error) {
	type received struct {
		in  request
		err error
	}
	done := make(chan received, 1)
	go func() {
		var m received
		m.err = stream.RecvMsg(&m.in)
		done <- m
	}()
	late := time.NewTimer(receiveTime)
	defer late.Stop()
	slow := time.NewTimer(patience)
	defer slow.Stop()
	var giveWay chan struct{}
	for {
		// To return ends the stream, and with it the goroutine.
		select {
		case m := <-done:
			if errors.Is(m.err, io.EOF) {
				m.err = status.Error(codes.InvalidArgument, "no request message")
			}
			return m.in, m.err
		case <-slow.C:
			giveWay = r.giveWay
		case <-giveWay:
			return request{}, grpcError(&refusal{
				codes.Unavailable, http.StatusServiceUnavailable,
				fmt.Sprintf("the request did not come within %s while others waited, try again", patience),
			})
		case <-late.C:
			return request{}, status.Errorf(codes.DeadlineExceeded, "the request did not come within %s", receiveTime)
		}
	}
}

func grpcError(err error) error {
	e, ok := errors.AsType[*refusal](err)
	if !ok {
		return status.Error(codes.Internal, "internal error")
	}
	s := status.New(e.code, strings.ToValidUTF8(e.reason, "\uFFFD"))
	if e.code == codes.Unavailable {
		// OTLP clients wait as long as RetryInfo says.
		if with, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}); err == nil {
			s = with
		}
	}
	return s.Err()
}

func (r *Receiver) unknownMethod(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	switch {
	case strings.Contains(method, ".metrics."):
		return status.Error(codes.Unimplemented, "metrics are not received here, only traces (OTEL_METRICS_EXPORTER=none stops a client from sending them)")
	case strings.Contains(method, ".logs."):
		return status.Error(codes.Unimplemented, "logs are not received here, only traces (OTEL_LOGS_EXPORTER=none stops a client from sending them)")
	}
	return status.Errorf(codes.Unimplemented, "gRPC method %.100q: not served here, OTLP traces go to /%s/Export", method, traceService)
}

// observer learns the size of a request as it came, and counts the requests that
// gRPC or a handler refused.
type observer struct{ r *Receiver }

type wireKey struct{}

func wireLength(ctx context.Context) int64 {
	if n, ok := ctx.Value(wireKey{}).(*int64); ok {
		return *n
	}
	return 0
}

func (o observer) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, wireKey{}, new(int64))
}

func (o observer) HandleRPC(ctx context.Context, s stats.RPCStats) {
	switch s := s.(type) {
	case *stats.InPayload:
		if n, ok := ctx.Value(wireKey{}).(*int64); ok {
			*n = int64(s.WireLength)
		}
	case *stats.End:
		if s.Error == nil {
			return
		}
		if st := status.Convert(s.Error); st.Code() != codes.Canceled {
			o.r.refuse("grpc", st.Message())
		}
	}
}

func (o observer) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (o observer) HandleConn(context.Context, stats.ConnStats) {}

func (r *Receiver) scheme() string {
	if r.config.Certificates != nil {
		return "https://"
	}
	return "http://"
}

// sniffGRPC knows what is not HTTP/2 by its first bytes.
func (r *Receiver) sniffGRPC(first []byte) (verdict, string) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	n := min(len(first), len(preface))
	if string(first[:n]) == preface[:n] {
		if r.config.Certificates != nil {
			r.refuse("grpc", "plaintext sent to the gRPC port, which takes TLS: use https:// or give the client a certificate authority")
			return foreign, ""
		}
		if n < len(preface) {
			return undecided, ""
		}
		return expected, ""
	}
	if isTLS(first) {
		if r.config.Certificates != nil {
			return expected, ""
		}
		r.refuse("grpc", "TLS sent to the gRPC port, which takes plaintext: use http:// or set the client to insecure")
		return foreign, ""
	}
	line, _, _ := strings.Cut(string(first), "\r\n")
	reason := fmt.Sprintf("%.100q sent to the gRPC port: ", line)
	if r.config.HTTPAddress == "" {
		reason += "OTLP over HTTP is turned off"
	} else {
		reason += "OTLP over HTTP goes to " + r.scheme() + r.config.HTTPAddress + tracesPath
	}
	r.refuse("grpc", reason)
	return foreign, httpReply(reason)
}
