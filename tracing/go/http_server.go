package tracing

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Middleware makes the server span of each request: it continues the remote context, hands the span on in the
// request's context, and ends it when next returns.
//
// The span is named "{method} {route}". The route is, in this order: what [SetRoute] or [Route] said, what
// [WithRoute] returns, or the path of [http.Request.Pattern]. A router sets Pattern on the request it is given, so
// nothing between Middleware and the router may copy the request; where something does, use [Route]. Without a route
// the name is the method alone, never the path.
//
// A response of 500 or more makes the status Error; a panic does too, and is raised again. The optional interfaces of
// the response writer (http.Flusher, http.Hijacker, io.ReaderFrom, http.Pusher) are kept, and
// [http.ResponseController] works.
func Middleware(next http.Handler, opts ...Option) http.Handler {
	o := newOptions(opts)
	return &server{next: next, options: o, tracer: o.tracer()}
}

type server struct {
	next http.Handler
	*options
	tracer trace.Tracer
}

var (
	serverKind   = trace.WithSpanKind(trace.SpanKindServer)
	clientKind   = trace.WithSpanKind(trace.SpanKindClient)
	internalKind = trace.WithSpanKind(trace.SpanKindInternal)
)

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.filter != nil && !s.filter(r) {
		s.next.ServeHTTP(w, r)
		return
	}
	ctx, span := s.start(r.Context(), r)

	// One allocation holds what lives as long as the request.
	req := &serverRequest{Context: ctx}
	req.responseWriter.ResponseWriter = w
	if s.serverTiming {
		setServerTiming(w.Header(), span.SpanContext())
	}
	traced := r.WithContext(req)

	finished := false
	defer func() {
		if !finished {
			// Goexit gives nil and is no panic.
			if v := recover(); v != nil {
				s.end(span, req, traced, v)
				panic(v)
			}
		}
		s.end(span, req, traced, nil)
	}()
	s.next.ServeHTTP(req.responseWriter.expose(), traced)
	finished = true
}

// serverRequest is the state of one request. It is the context of the request too, so that handlers can name their
// route; see Value.
type serverRequest struct {
	context.Context
	responseWriter
	route atomic.Pointer[string]
	err   atomic.Pointer[error] // see SetError
	// hooked is the span where ServerHooks made it, which ends it too.
	hooked trace.Span
}

type serverRequestKey struct{}

func (r *serverRequest) Value(key any) any {
	if _, ok := key.(serverRequestKey); ok {
		return r
	}
	return r.Context.Value(key)
}

// SetRoute sets the route of the request that ctx belongs to, as it shall stand in the span's name and http.route;
// "" says that the request matched no route. Outside of [Middleware] it does nothing.
func SetRoute(ctx context.Context, route string) { setRoute(ctx, &route) }

func setRoute(ctx context.Context, route *string) {
	if r, ok := ctx.Value(serverRequestKey{}).(*serverRequest); ok {
		r.route.Store(route)
	}
}

// Route sets the route of all requests to next, for routers and middlewares that do not hand [http.Request.Pattern]
// back, and to give several patterns one name.
func Route(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setRoute(r.Context(), &route)
		next.ServeHTTP(w, r)
	})
}

// RouteFunc is a middleware for routers that know the route only inside, such as gorilla/mux:
//
//	router.Use(tracing.RouteFunc(func(r *http.Request) string {
//		template, _ := mux.CurrentRoute(r).GetPathTemplate()
//		return template
//	}))
func RouteFunc(route func(*http.Request) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			SetRoute(r.Context(), route(r))
			next.ServeHTTP(w, r)
		})
	}
}

// end completes the span when the handler has returned or panicked.
func (s *server) end(span trace.Span, req *serverRequest, r *http.Request, panicked any) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	route := ""
	switch set := req.route.Load(); {
	case set != nil:
		route = *set
	case s.options.route != nil:
		route = s.options.route(r)
	default:
		route = routeOf(r.Pattern)
	}
	attrs := otherAttributes(make([]attribute.KeyValue, 0, 8), r)
	if route != "" {
		span.SetName(methodName(r.Method) + " " + route)
		attrs = append(attrs, semconv.HTTPRoute(route))
	}
	status := req.sentStatus(r, panicked != nil)
	if status != 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(status))
	}
	if req.size > 0 && r.Method != http.MethodHead {
		attrs = append(attrs, semconv.HTTPResponseBodySizeKey.Int64(req.size))
	}
	if status >= http.StatusInternalServerError {
		description, errType := "", statusErrorType(status)
		if err := req.err.Load(); err != nil && !errors.Is(*err, context.Canceled) {
			description, errType = (*err).Error(), errorType(*err)
		}
		span.SetStatus(codes.Error, description)
		attrs = append(attrs, errType)
	}
	span.SetAttributes(attrs...)
	switch err, _ := panicked.(error); {
	case panicked == nil:
	case errors.Is(err, http.ErrAbortHandler):
		// The handler's way of cutting the connection; not logged by net/http either.
		span.SetStatus(codes.Error, "the handler aborted the response")
		span.SetAttributes(semconv.ErrorTypeKey.String("net/http.ErrAbortHandler"))
	default:
		recordPanic(span, panicked)
	}
}

// sentStatus is the status code the client was sent, or 0 when there was none or it is not known.
func (w *responseWriter) sentStatus(r *http.Request, panicked bool) int {
	switch {
	case w.status != 0:
		return w.status
	case w.hijacked:
		if r.Header.Get("Upgrade") != "" {
			return http.StatusSwitchingProtocols
		}
		return 0
	case panicked, r.Context().Err() == context.Canceled:
		return 0 // the connection is cut, or was gone
	}
	return http.StatusOK
}

// statusErrorType is error.type of a response that is an error.
func statusErrorType(status int) attribute.KeyValue {
	if status == http.StatusInternalServerError {
		return errorType500
	}
	return semconv.ErrorTypeKey.String(strconv.Itoa(status))
}

var errorType500 = semconv.ErrorTypeKey.String("500")

// maxServerAttributes is how many attributes a server span can have.
const maxServerAttributes = 18

// attributeBuffers spare each request the slice for its attributes: the SDK copies what it is given.
var attributeBuffers = sync.Pool{New: func() any { return new([maxServerAttributes]attribute.KeyValue) }}

// start makes the span of a request as a child of its remote context, with the attributes that the conventions want a
// sampler to see; the others are set when the span ends, if it is recorded.
func (s *server) start(ctx context.Context, r *http.Request) (context.Context, trace.Span) {
	ctx = s.propagators().Extract(ctx, propagation.HeaderCarrier(r.Header))
	if s.public != nil && s.public(r) {
		return s.startPublic(ctx, r)
	}
	buf := attributeBuffers.Get().(*[maxServerAttributes]attribute.KeyValue)
	attrs := samplingAttributes(buf[:0], r)
	ctx, span := s.tracer.Start(ctx, methodName(r.Method), serverKind, trace.WithAttributes(attrs...))
	clear(attrs) // the strings are the request's
	attributeBuffers.Put(buf)
	return ctx, span
}

// startPublic starts a trace of its own that is linked to the caller's.
func (s *server) startPublic(ctx context.Context, r *http.Request) (context.Context, trace.Span) {
	opts := []trace.SpanStartOption{serverKind, trace.WithAttributes(samplingAttributes(nil, r)...)}
	if caller := trace.SpanContextFromContext(ctx); caller.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: caller}))
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	return s.tracer.Start(ctx, methodName(r.Method), opts...)
}

func samplingAttributes(attrs []attribute.KeyValue, r *http.Request) []attribute.KeyValue {
	method, known := methodAttribute(r.Method)
	attrs = append(attrs, method)
	if !known {
		attrs = append(attrs, semconv.HTTPRequestMethodOriginal(truncate(r.Method, 64)))
	}
	scheme := schemeHTTP
	if r.TLS != nil {
		scheme = schemeHTTPS
	}
	path := r.URL.RawPath // set where it differs from Path's default encoding
	if path == "" {
		path = r.URL.Path
	}
	attrs = append(attrs, scheme, semconv.URLPath(path))
	if r.URL.RawQuery != "" {
		attrs = append(attrs, semconv.URLQuery(redactQuery(r.URL.RawQuery)))
	}
	if host, port := splitHostPort(r.Host); host != "" {
		attrs = append(attrs, semconv.ServerAddress(host))
		if port > 0 {
			attrs = append(attrs, semconv.ServerPort(port))
		}
	}
	if client := clientAddress(r); client != "" {
		attrs = append(attrs, semconv.ClientAddress(client))
	}
	if agent := r.UserAgent(); agent != "" {
		attrs = append(attrs, semconv.UserAgentOriginal(agent))
	}
	return attrs
}

func otherAttributes(attrs []attribute.KeyValue, r *http.Request) []attribute.KeyValue {
	attrs = append(attrs, protocolAttribute(r.Proto))
	if peer, port := splitHostPort(r.RemoteAddr); peer != "" {
		attrs = append(attrs, semconv.NetworkPeerAddress(peer))
		if port > 0 {
			attrs = append(attrs, semconv.NetworkPeerPort(port))
		}
	}
	if r.ContentLength > 0 {
		attrs = append(attrs, semconv.HTTPRequestBodySizeKey.Int64(r.ContentLength))
	}
	return attrs
}

var (
	schemeHTTP  = semconv.URLScheme("http")
	schemeHTTPS = semconv.URLScheme("https")
	protocol11  = semconv.NetworkProtocolVersion("1.1")
	protocol2   = semconv.NetworkProtocolVersion("2")
)

func protocolAttribute(proto string) attribute.KeyValue {
	switch proto {
	case "HTTP/1.1":
		return protocol11
	case "HTTP/2.0":
		return protocol2
	}
	return semconv.NetworkProtocolVersion(protocolVersion(proto))
}

// truncate bounds client input of no known length.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// WithServerTiming makes [Middleware] tell the caller the trace: a header "Server-Timing: trace;desc=TRACEPARENT",
// which browsers show (https://www.w3.org/TR/trace-context-2/ and its drafts). Leave it off where callers must not
// know trace ids.
func WithServerTiming() Option {
	return func(o *options) { o.serverTiming = true }
}

func setServerTiming(header http.Header, sc trace.SpanContext) {
	if !sc.IsValid() {
		return
	}
	header.Add("Server-Timing", "trace;desc=00-"+sc.TraceID().String()+"-"+sc.SpanID().String()+"-"+sc.TraceFlags().String())
}
