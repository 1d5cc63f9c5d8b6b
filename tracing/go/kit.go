package tracing

import (
	"context"
	"net/http"
)

// ServerHooks makes the server span of a Go kit HTTP server by its options, for servers without [Middleware] in front:
//
//	hooks := tracing.NewServerHooks("/articles/v1/{id}")
//	kithttp.NewServer(endpoint, decode, encode,
//		kithttp.ServerBefore(hooks.Before),
//		kithttp.ServerAfter(hooks.After),
//		kithttp.ServerErrorHandler(tracing.NewErrorHandler(nil)),
//		kithttp.ServerFinalizer(hooks.Finalizer))
//
// Behind Middleware the hooks only set the route. They cannot see a panic of the handler, which Middleware and the
// wrappers of the single functions do.
type ServerHooks struct {
	server server
	route  string
}

// NewServerHooks returns the hooks of the server for route, which names the span as with [Route].
func NewServerHooks(route string, opts ...Option) *ServerHooks {
	o := newOptions(opts)
	return &ServerHooks{server: server{options: o, tracer: o.tracer()}, route: route}
}

// Before starts the span; it is a kithttp.RequestFunc.
func (h *ServerHooks) Before(ctx context.Context, r *http.Request) context.Context {
	if _, ok := ctx.Value(serverRequestKey{}).(*serverRequest); ok {
		setRoute(ctx, &h.route)
		return ctx
	}
	if h.server.filter != nil && !h.server.filter(r) {
		return ctx
	}
	ctx, span := h.server.start(ctx, r)
	req := &serverRequest{Context: ctx, hooked: span}
	req.route.Store(&h.route)
	return req
}

// After sets the Server-Timing header where [WithServerTiming] asks for it; it is a kithttp.ServerResponseFunc.
func (h *ServerHooks) After(ctx context.Context, w http.ResponseWriter) context.Context {
	if req, ok := ctx.Value(serverRequestKey{}).(*serverRequest); ok && req.hooked != nil && h.server.serverTiming {
		setServerTiming(w.Header(), req.hooked.SpanContext())
	}
	return ctx
}

// Finalizer ends the span with the response's status; it is a kithttp.ServerFinalizerFunc.
func (h *ServerHooks) Finalizer(ctx context.Context, status int, r *http.Request) {
	if req, ok := ctx.Value(serverRequestKey{}).(*serverRequest); ok && req.hooked != nil {
		req.status = status
		h.server.end(req.hooked, req, r, nil)
	}
}

// SetError names the error for which the request of ctx is answered. It is the server span's, with type and message,
// when the response's status is 500 or more; for others the status code says enough. Outside of [Middleware] and
// [ServerHooks] it does nothing.
func SetError(ctx context.Context, err error) {
	if req, ok := ctx.Value(serverRequestKey{}).(*serverRequest); ok && err != nil {
		req.err.Store(&err)
	}
}

// ErrorHandler is a Go kit transport.ErrorHandler that puts errors on the server span by [SetError] and passes them on.
type ErrorHandler struct{ next handlesErrors }

type handlesErrors interface {
	Handle(ctx context.Context, err error)
}

// NewErrorHandler returns the handler in front of next, which may be nil.
func NewErrorHandler(next handlesErrors) *ErrorHandler { return &ErrorHandler{next} }

// Handle implements transport.ErrorHandler.
func (h *ErrorHandler) Handle(ctx context.Context, err error) {
	SetError(ctx, err)
	if h.next != nil {
		h.next.Handle(ctx, err)
	}
}
