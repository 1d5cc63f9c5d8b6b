package tracing

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Transport makes a client span of each request it sends through base (nil: [http.DefaultTransport]) and writes the
// span's context into the request's headers. The request itself is not changed.
//
// The span is named "{method} {url.template}" where the request's context names a template ([WithURLTemplate]), else
// by the method alone, never by the URL. It ends when the response's body is closed, with the time at which the body
// was read to its end. A response of 400 or more, a transport error and a failed read make the status Error; a
// cancellation by the caller does not. url.full is without passwords and well-known secret parameters.
func Transport(base http.RoundTripper, opts ...Option) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	o := newOptions(opts)
	return &client{base: base, options: o, tracer: o.tracer()}
}

type client struct {
	base http.RoundTripper
	*options
	tracer trace.Tracer
}

type urlTemplateKey struct{}

// WithURLTemplate names the template of the URL that requests with this context go to, such as
// "/suggestions/v1/{id}". It must be of low cardinality: ids stay placeholders.
func WithURLTemplate(ctx context.Context, template string) context.Context {
	return context.WithValue(ctx, urlTemplateKey{}, template)
}

func (c *client) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.filter != nil && !c.filter(r) {
		return c.base.RoundTrip(r)
	}
	name := methodName(r.Method)
	template, _ := r.Context().Value(urlTemplateKey{}).(string)
	if template != "" {
		name += " " + template
	}
	ctx, span := c.tracer.Start(r.Context(), name, clientKind, trace.WithAttributes(clientAttributes(r, template)...))

	// A RoundTripper must not change its request.
	out := r.WithContext(ctx)
	out.Header = r.Header.Clone()
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	c.propagators().Inject(ctx, propagation.HeaderCarrier(out.Header))

	res, err := c.base.RoundTrip(out)
	if err != nil {
		// The transport returns the cause of a cancelled context, which may be any error.
		if r.Context().Err() != context.Canceled {
			Fail(span, err)
		}
		span.End()
		return res, err
	}
	if span.IsRecording() {
		attrs := make([]attribute.KeyValue, 0, 3)
		attrs = append(attrs, semconv.HTTPResponseStatusCode(res.StatusCode), protocolAttribute(res.Proto))
		if res.StatusCode >= http.StatusBadRequest {
			span.SetStatus(codes.Error, "")
			attrs = append(attrs, statusErrorType(res.StatusCode))
		}
		span.SetAttributes(attrs...)
	}
	// The body of a 101 is the connection, which lives on and must stay writable.
	if res.Body == nil || res.Body == http.NoBody || res.StatusCode == http.StatusSwitchingProtocols || !span.IsRecording() {
		span.End()
		return res, nil
	}
	res.Body = newClientBody(res.Body, span, r.Context())
	return res, nil
}

func clientAttributes(r *http.Request, template string) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 9)
	method, known := methodAttribute(r.Method)
	attrs = append(attrs, method)
	if !known {
		attrs = append(attrs, semconv.HTTPRequestMethodOriginal(truncate(r.Method, 64)))
	}
	attrs = append(attrs, semconv.URLFull(fullURL(r.URL)))
	if template != "" {
		attrs = append(attrs, semconv.URLTemplate(template))
	}
	host, port := splitHostPort(r.URL.Host)
	if port == 0 {
		port = 80
		if r.URL.Scheme == "https" {
			port = 443
		}
	}
	attrs = append(attrs, semconv.ServerAddress(host), semconv.ServerPort(port))
	if r.ContentLength > 0 {
		attrs = append(attrs, semconv.HTTPRequestBodySizeKey.Int64(r.ContentLength))
	}
	// A redirected request knows the response that caused it.
	resends := 0
	for cause := r.Response; cause != nil && cause.Request != nil && resends < 64; cause = cause.Request.Response {
		resends++
	}
	if resends > 0 {
		attrs = append(attrs, semconv.HTTPRequestResendCount(resends))
	}
	return attrs
}

// FailResponse marks the client span of res as failed by err: a response that arrived well but cannot be used, such as
// one that is no JSON. It works until the body is closed, on responses with a body of a [Transport].
func FailResponse(res *http.Response, err error) {
	if body, ok := res.Body.(*clientBody); ok && !body.state.ended.Load() {
		Fail(body.state.span, err)
	}
}

// clientBody ends the span of its response.
type clientBody struct {
	io.ReadCloser
	ctx   context.Context // of the caller's request
	state *clientSpan
	clean runtime.Cleanup
}

// clientSpan is apart from the body so that it is reachable when the body is not any more.
type clientSpan struct {
	span  trace.Span
	ended atomic.Bool
	eof   atomic.Int64 // unix nanoseconds, 0 before the end
}

func newClientBody(body io.ReadCloser, span trace.Span, ctx context.Context) *clientBody {
	b := &clientBody{ReadCloser: body, ctx: ctx, state: &clientSpan{span: span}}
	// A body that is never closed is the caller's leak, but its span must not be lost.
	b.clean = runtime.AddCleanup(b, (*clientSpan).end, b.state)
	return b
}

func (s *clientSpan) end() {
	if s.ended.Swap(true) {
		return
	}
	if eof := s.eof.Load(); eof != 0 {
		s.span.End(trace.WithTimestamp(time.Unix(0, eof)))
		return
	}
	s.span.End()
}

func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.state.eof.CompareAndSwap(0, time.Now().UnixNano())
	case b.ctx.Err() != context.Canceled:
		Fail(b.state.span, err)
	}
	return n, err
}

func (b *clientBody) Close() error {
	err := b.ReadCloser.Close()
	b.clean.Stop()
	b.state.end()
	return err
}
