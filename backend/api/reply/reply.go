// Package reply is what the answers of all APIs have in common: errors with a
// code for programs and a sentence for people, the check of a request's method
// and query, the time limit of a request, and JSON.
//
// [From] is the one place that decides what a client is told about an error; what
// it does not know is logged and not told. How an error looks in an answer is each
// API's own affair.
package reply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/store"
)

// QueryTime bounds the work on one request.
const QueryTime = 30 * time.Second

// Error is an answer that is not the one asked for.
type Error struct {
	Code    string
	Status  int
	Message string
}

func (e *Error) Error() string { return e.Message }

// GRPC is the code of the error where it goes out over gRPC.
func (e *Error) GRPC() codes.Code {
	switch e.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return codes.InvalidArgument
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusUnprocessableEntity:
		return codes.ResourceExhausted
	case http.StatusNotImplemented:
		return codes.Unimplemented
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	case statusGone:
		return codes.Canceled
	}
	return codes.Internal
}

// statusGone is what logs have for a client that left, which nobody receives.
const statusGone = 499

// Internal is told about what only the log knows.
var Internal = &Error{"internal", http.StatusInternalServerError, "internal error, see the server's log"}

// Invalid is an error of the request.
func Invalid(format string, args ...any) error {
	return &Error{"invalid_argument", http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// NotFound is for what is not held or served.
func NotFound(format string, args ...any) error {
	return &Error{"not_found", http.StatusNotFound, fmt.Sprintf(format, args...)}
}

// Unsupported is for what an API has and this server does not.
func Unsupported(format string, args ...any) error {
	return &Error{"unimplemented", http.StatusNotImplemented, fmt.Sprintf(format, args...)}
}

// From maps an error to an answer; ctx is the request's.
func From(ctx context.Context, log *slog.Logger, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &Error{"not_found", http.StatusNotFound, err.Error()}
	case errors.Is(err, query.ErrNotSearch), errors.Is(err, query.ErrNotMetrics), errors.Is(err, query.ErrTooManySamples):
		return &Error{"invalid_argument", http.StatusBadRequest, err.Error()}
	case errors.Is(err, store.ErrTooMuch), errors.Is(err, query.ErrTooLarge), errors.Is(err, query.ErrTooManyValues),
		errors.Is(err, query.ErrTooManySeries):
		return &Error{"too_large", http.StatusUnprocessableEntity, err.Error()}
	case errors.Is(err, query.ErrTooLong):
		return &Error{"unavailable", http.StatusServiceUnavailable, err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{"unavailable", http.StatusServiceUnavailable, "the query took too long"}
	case ctx.Err() != nil:
		return &Error{"unavailable", statusGone, "the client gave up"}
	}
	log.Error("answering", "error", err)
	return Internal
}

// Func answers a request or returns why it does not.
type Func func(http.ResponseWriter, *http.Request) error

// Get calls h for a request that is a GET or HEAD with a query that can be read,
// and bounds its time.
func Get(w http.ResponseWriter, r *http.Request, h Func) error {
	return timed(w, r, h, http.MethodGet, http.MethodHead)
}

// Stream is Get for an answer that goes on until the client leaves.
func Stream(w http.ResponseWriter, r *http.Request, h Func) error {
	return call(w, r, h, http.MethodGet)
}

// Post is Get for POST.
func Post(w http.ResponseWriter, r *http.Request, h Func) error {
	return timed(w, r, h, http.MethodPost)
}

func timed(w http.ResponseWriter, r *http.Request, h Func, methods ...string) error {
	ctx, cancel := context.WithTimeout(r.Context(), QueryTime)
	defer cancel()
	return call(w, r.WithContext(ctx), h, methods...)
}

// call checks the query because URL.Query leaves out the rest of one that cannot
// be read, and an ignored filter shows the wrong traces.
func call(w http.ResponseWriter, r *http.Request, h Func, methods ...string) error {
	allowed := false
	for _, m := range methods {
		allowed = allowed || r.Method == m
	}
	if !allowed {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return &Error{"method_not_allowed", http.StatusMethodNotAllowed, fmt.Sprintf("%.20s: want %s", r.Method, methods[0])}
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return Invalid("query %q: %v", Clip(r.URL.RawQuery), err)
	}
	w.Header().Set("Cache-Control", "no-store")
	return h(w, r)
}

// Clip keeps a message short whatever it quotes.
func Clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// JSON answers with a value that always encodes, and with status 200.
func JSON(w http.ResponseWriter, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	Body(w, http.StatusOK, body)
	return nil
}

// Indented is JSON, indented by four spaces.
func Indented(w http.ResponseWriter, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, body, "", "    "); err != nil {
		return fmt.Errorf("indenting the answer: %w", err)
	}
	Body(w, http.StatusOK, out.Bytes())
	return nil
}

// Body writes an answer of JSON; an error is the client's leaving.
func Body(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

// Fault writes an error whose JSON is value.
func Fault(w http.ResponseWriter, e *Error, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		body = []byte("{}")
	}
	Body(w, e.Status, body)
}
