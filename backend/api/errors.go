package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/throughline/throughline/backend/store"
)

// apiError is an answer that is not the one asked for.
type apiError struct {
	code    string
	status  int
	message string
}

func (e *apiError) Error() string { return e.message }

var errInternal = &apiError{"internal", http.StatusInternalServerError, "internal error, see the server's log"}

func invalid(format string, args ...any) error {
	return &apiError{"invalid_argument", http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &apiError{"not_found", http.StatusNotFound, fmt.Sprintf(format, args...)}
}

// handle answers GET and HEAD by h, and maps its error to an answer.
func (s *server) handle(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := answer(w, r, h); err != nil {
			writeError(w, s.toAPIError(r, err))
		}
	})
}

// answer calls h for a request that is a GET or HEAD with a query that can be
// read: URL.Query leaves out the rest of one that cannot, and an ignored filter
// shows the wrong traces.
func answer(w http.ResponseWriter, r *http.Request, h func(http.ResponseWriter, *http.Request) error) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return &apiError{"method_not_allowed", http.StatusMethodNotAllowed, fmt.Sprintf("%.20s: want GET", r.Method)}
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return invalid("query %q: %v", clip(r.URL.RawQuery), err)
	}
	w.Header().Set("Cache-Control", "no-store")
	return h(w, r)
}

// clip keeps a message short whatever it quotes.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// toAPIError is the one place that maps errors to answers; what is not known is
// logged and not told.
func (s *server) toAPIError(r *http.Request, err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &apiError{"not_found", http.StatusNotFound, err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &apiError{"unavailable", http.StatusServiceUnavailable, "the query took too long"}
	case r.Context().Err() != nil:
		return &apiError{"unavailable", 499, "the client gave up"}
	}
	s.Log.Error("answering", "path", r.URL.Path, "error", err)
	return errInternal
}

func writeError(w http.ResponseWriter, e *apiError) {
	body, err := json.Marshal(map[string]any{"error": map[string]string{"code": e.code, "message": e.message}})
	if err != nil {
		body = []byte(`{"error":{"code":"internal","message":"internal error"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	w.Write(append(body, '\n'))
}

// writeJSON answers with a value that always encodes.
func writeJSON(w http.ResponseWriter, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n')) // an error here is the client's leaving
	return nil
}
