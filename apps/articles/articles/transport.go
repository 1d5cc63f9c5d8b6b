package articles

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/go-kit/kit/endpoint"
	"github.com/go-kit/kit/transport"
	kithttp "github.com/go-kit/kit/transport/http"

	tracing "github.com/throughline/throughline/tracing/go"
)

// Routes, as they stand in span names; each answers with and without a final slash.
const (
	routeArticles = "/articles/v1/"
	routeArticle  = "/articles/v1/{id}"
)

// NewHandler returns the HTTP API of endpoints, traced. lean leaves out the spans of decoder and encoder.
func NewHandler(endpoints Endpoints, lean bool, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	handle := func(route string, h http.Handler, patterns ...string) {
		for _, p := range patterns {
			mux.Handle("GET "+p, tracing.Route(route, h))
			mux.Handle(p, tracing.Route(route, http.HandlerFunc(methodNotAllowed)))
		}
	}
	handle(routeArticles, newServer(endpoints.GetArticles, decodeGetArticles, lean, logger),
		"/articles/v1/{$}", "/articles/v1")
	handle(routeArticle, newServer(endpoints.GetArticle, decodeGetArticle, lean, logger),
		"/articles/v1/{id}", "/articles/v1/{id}/{$}")
	return tracing.Middleware(recovered(logger, onlyRoutes(mux)))
}

// newServer binds an endpoint to HTTP with a span for the decoder and one for the encoder.
func newServer(e endpoint.Endpoint, decode kithttp.DecodeRequestFunc, lean bool, logger *slog.Logger) http.Handler {
	encode := kithttp.EncodeResponseFunc(encodeResponse)
	if !lean {
		decode = tracing.Decoder("request decoder", decode, tracing.WithExpected(expected))
		encode = tracing.Encoder("response encoder", encode)
	}
	return kithttp.NewServer(e, decode, encode,
		kithttp.ServerErrorEncoder(encodeError),
		kithttp.ServerErrorHandler(tracing.NewErrorHandler(transport.ErrorHandlerFunc(func(ctx context.Context, err error) {
			if !expected(err) {
				logger.ErrorContext(ctx, "the request failed", "error", err.Error())
			}
		}))),
		kithttp.ServerFinalizer(func(ctx context.Context, status int, r *http.Request) {
			logger.InfoContext(ctx, "request", "method", r.Method, "path", r.URL.Path, "status", status)
		}),
	)
}

func decodeGetArticles(_ context.Context, r *http.Request) (any, error) {
	withSuggested, err := decodeWithSuggested(r)
	return getArticlesRequest{withSuggested}, err
}

func decodeGetArticle(_ context.Context, r *http.Request) (any, error) {
	withSuggested, err := decodeWithSuggested(r)
	return getArticleRequest{ArticleID(r.PathValue("id")), withSuggested}, err
}

// decodeWithSuggested reads the parameter of that name: 1, true, 0, false, or absent.
func decodeWithSuggested(r *http.Request) (bool, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return false, &BadRequestError{"the query is malformed"}
	}
	values, present := query["with_suggested"]
	if !present {
		return false, nil
	}
	if len(values) == 1 {
		switch values[0] {
		case "1", "true":
			return true, nil
		case "0", "false":
			return false, nil
		}
	}
	return false, &BadRequestError{"with_suggested must be 1, true, 0 or false"}
}

// writeFailedError says that the client could not be reached; there is no use in writing to it once more.
type writeFailedError struct{ error }

func (e writeFailedError) Unwrap() error { return e.error }

// encodeResponse writes the response whole or, when it cannot be encoded, not at all.
func encodeResponse(_ context.Context, w http.ResponseWriter, response any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(response); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	if _, err := w.Write(body.Bytes()); err != nil {
		return writeFailedError{err}
	}
	return nil
}

func encodeError(_ context.Context, err error, w http.ResponseWriter) {
	if errors.As(err, &writeFailedError{}) {
		return
	}
	writeError(w, toAPIError(err))
}

func methodNotAllowed(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	writeError(w, apiError{http.StatusMethodNotAllowed, "method_not_allowed", "only GET and HEAD are allowed"})
}

// onlyRoutes answers in JSON what no pattern matches, where the mux would do it in plain text, and what it would redirect
// to a cleaner path: a span of that would be named by a pattern that is no route.
func onlyRoutes(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		escaped := r.URL.EscapedPath()
		_, pattern := mux.Handler(r)
		// The mux takes a segment %2F for the end of a path, so that it would be the list and not an id of that name.
		if pattern == "" || escaped != cleanPath(escaped) || strings.HasSuffix(strings.TrimSuffix(strings.ToUpper(escaped), "/"), "/%2F") {
			writeError(w, apiError{http.StatusNotFound, "not_found", "no such path"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// cleanPath is path.Clean that keeps a final slash.
func cleanPath(p string) string {
	clean := path.Clean(p)
	if clean != "/" && strings.HasSuffix(p, "/") {
		clean += "/"
	}
	return clean
}

// recovered turns a panic into a 500. It is inside the tracing middleware, so that the log line carries the trace and
// the span the status; the span of the panicking layer has the stack.
func recovered(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			logger.ErrorContext(r.Context(), "panic", "value", v, "stack", string(debug.Stack()))
			writeError(w, apiError{http.StatusInternalServerError, "internal", "internal error"})
		}()
		next.ServeHTTP(w, r)
	})
}
