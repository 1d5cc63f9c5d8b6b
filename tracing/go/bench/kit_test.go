package bench

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-kit/kit/endpoint"
	"github.com/go-kit/kit/transport"
	kithttp "github.com/go-kit/kit/transport/http"

	tracing "github.com/throughline/throughline/tracing/go"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

type (
	sumRequest  struct{ A, B int }
	sumResponse struct {
		Sum int
		Err error `json:"-"`
	}
)

// Failed implements Go kit's endpoint.Failer.
func (r sumResponse) Failed() error { return r.Err }

var _ endpoint.Failer = sumResponse{}

var errOverflow = errors.New("overflow")

func sum(_ context.Context, r sumRequest) (sumResponse, error) {
	switch {
	case r.A < 0:
		return sumResponse{}, errors.New("adder broken")
	case r.A > 100:
		return sumResponse{Err: errOverflow}, nil
	case r.A == 100:
		panic("no carry")
	}
	return sumResponse{Sum: r.A + r.B}, nil
}

func decodeSum(_ context.Context, r *http.Request) (any, error) {
	var request sumRequest
	err := json.NewDecoder(r.Body).Decode(&request)
	return request, err
}

// newKitServer wires a Go kit server as its users do, all types being Go kit's own.
func newKitServer(options ...kithttp.ServerOption) http.Handler {
	var e endpoint.Endpoint = tracing.Untyped(sum)
	e = endpoint.Chain(tracing.EndpointMiddleware[endpoint.Endpoint]("sum endpoint"))(e)
	var decode kithttp.DecodeRequestFunc = tracing.Decoder("request decoder", decodeSum)
	var encode kithttp.EncodeResponseFunc = tracing.Encoder("response encoder", kithttp.EncodeJSONResponse)
	options = append(options, kithttp.ServerErrorEncoder(func(_ context.Context, _ error, w http.ResponseWriter) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	return kithttp.NewServer(e, decode, encode, options...)
}

// post sends a request through h and gives the trace.
func post(h http.Handler, r *tracingtest.Recorder, path, body, traceparent string) string {
	r.Reset()
	req := httptest.NewRequest(http.MethodPost, path, jsonBody(body))
	if traceparent != "" {
		req.Header.Set("traceparent", traceparent)
	}
	func() {
		defer func() { _ = recover() }()
		h.ServeHTTP(httptest.NewRecorder(), req)
	}()
	return r.Tree(tracingtest.WithAttributes("error.type", "http.response.status_code", "http.route"))
}

// TestKitBehindMiddleware: decoder, endpoint and encoder on one level, and every failure on its span.
func TestKitBehindMiddleware(t *testing.T) {
	r := tracingtest.Install(t)
	var handled []error
	mux := http.NewServeMux()
	mux.Handle("POST /sum/{$}", newKitServer(kithttp.ServerErrorHandler(tracing.NewErrorHandler(
		transport.ErrorHandlerFunc(func(_ context.Context, err error) { handled = append(handled, err) })))))
	h := tracing.Middleware(mux)
	for name, c := range map[string]struct{ body, want string }{
		"ok": {`{"A":1,"B":2}`, `server POST /sum/
    http.response.status_code=200
    http.route=/sum/
  internal request decoder
  internal sum endpoint
  internal response encoder
`},
		"error": {`{"A":-1}`, `server POST /sum/ error: adder broken
    error.type=*errors.errorString
    http.response.status_code=500
    http.route=/sum/
  internal request decoder
  internal sum endpoint error: adder broken
      error.type=*errors.errorString
`},
		"failer": {`{"A":101}`, `server POST /sum/
    http.response.status_code=200
    http.route=/sum/
  internal request decoder
  internal sum endpoint error: overflow
      error.type=*errors.errorString
  internal response encoder
`},
		"decoder": {`{`, `server POST /sum/ error: unexpected EOF
    error.type=*errors.errorString
    http.response.status_code=500
    http.route=/sum/
  internal request decoder error: unexpected EOF
      error.type=*errors.errorString
`},
		"panic": {`{"A":100}`, `server POST /sum/ error: panic: no carry
    error.type=string
    http.route=/sum/
    event exception
  internal request decoder
  internal sum endpoint error: panic: no carry
      error.type=string
      event exception
`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := post(h, r, "/sum/", c.body, ""); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	if len(handled) != 2 {
		t.Errorf("%d errors were passed on, want 2", len(handled))
	}
}

// TestKitHooks: without a middleware in front, the options make the server span.
func TestKitHooks(t *testing.T) {
	r := tracingtest.Install(t)
	hooks := tracing.NewServerHooks("/sum", tracing.WithServerTiming())
	h := newKitServer(
		kithttp.ServerBefore(hooks.Before), kithttp.ServerAfter(hooks.After), kithttp.ServerFinalizer(hooks.Finalizer),
		kithttp.ServerErrorHandler(tracing.NewErrorHandler(nil)))
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	want := `server POST /sum
    http.response.status_code=200
    http.route=/sum
  internal request decoder
  internal sum endpoint
  internal response encoder
`
	if got := post(h, r, "/anything/7", `{"A":1}`, parent); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s := r.Find("POST /sum"); s.Context.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || !s.Parent.IsRemote() {
		t.Errorf("parent %v", s.Parent)
	}
	want = `server POST /sum error: adder broken
    error.type=*errors.errorString
    http.response.status_code=500
    http.route=/sum
  internal request decoder
  internal sum endpoint error: adder broken
      error.type=*errors.errorString
`
	if got := post(h, r, "/anything/7", `{"A":-1}`, ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", jsonBody(`{}`)))
	if w.Header().Get("Server-Timing") == "" {
		t.Error("no Server-Timing header")
	}
	// Behind the middleware there is one server span, with the hooks' route.
	want = `server POST /sum
    http.response.status_code=200
    http.route=/sum
  internal request decoder
  internal sum endpoint
  internal response encoder
`
	if got := post(tracing.Middleware(h), r, "/anything/7", `{"A":1}`, ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
