package articles

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// ErrNotFound says that no article has the requested id.
var ErrNotFound = errors.New("article not found")

// BadRequestError says what is wrong with a request, in words for the client.
type BadRequestError struct{ Message string }

func (e *BadRequestError) Error() string { return e.Message }

// ErrorType names the error in spans.
func (e *BadRequestError) ErrorType() string { return "bad_request" }

// statusClientClosedRequest is nginx's code for a client that did not wait; nobody reads the response.
const statusClientClosedRequest = 499

// apiError is an error as the client sees it. Inner details stay in the log and the trace.
type apiError struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// toAPIError is the one place that maps errors to HTTP.
func toAPIError(err error) apiError {
	var bad *BadRequestError
	switch {
	case errors.As(err, &bad):
		return apiError{http.StatusBadRequest, "bad_request", bad.Message}
	case errors.Is(err, ErrNotFound):
		return apiError{http.StatusNotFound, "not_found", "article not found"}
	case errors.Is(err, context.Canceled):
		return apiError{statusClientClosedRequest, "cancelled", "the request was cancelled"}
	case errors.Is(err, context.DeadlineExceeded):
		return apiError{http.StatusGatewayTimeout, "timeout", "the request took too long"}
	}
	return apiError{http.StatusInternalServerError, "internal", "internal error"}
}

// expected reports whether err is an answer to the client and no fault of the service.
func expected(err error) bool {
	return toAPIError(err).Status < http.StatusInternalServerError
}

// writeError sends the JSON body of an error.
func writeError(w http.ResponseWriter, e apiError) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(e.Status)
	// The body is two strings; only the connection can fail, and then nobody reads it.
	_ = json.NewEncoder(w).Encode(map[string]apiError{"error": e})
}
