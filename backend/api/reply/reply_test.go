package reply_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/store"
)

// What a client is told about an error, over HTTP and gRPC.
func TestFrom(t *testing.T) {
	var logged strings.Builder
	log := slog.New(slog.NewTextHandler(&logged, nil))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx    context.Context
		err    error
		status int
		code   string
		grpc   codes.Code
	}{
		{t.Context(), reply.Invalid("limit %q", "x"), 400, "invalid_argument", codes.InvalidArgument},
		{t.Context(), fmt.Errorf("reading: %w", reply.NotFound("no")), 404, "not_found", codes.NotFound},
		{t.Context(), reply.Unsupported("no"), 501, "unimplemented", codes.Unimplemented},
		{t.Context(), fmt.Errorf("%w: 1", store.ErrNotFound), 404, "not_found", codes.NotFound},
		{t.Context(), store.ErrTooMuch, 422, "too_large", codes.ResourceExhausted},
		{t.Context(), fmt.Errorf("%w: lower the limit", query.ErrTooLarge), 422, "too_large", codes.ResourceExhausted},
		{t.Context(), query.ErrTooManyValues, 422, "too_large", codes.ResourceExhausted},
		{t.Context(), query.ErrTooManySeries, 422, "too_large", codes.ResourceExhausted},
		{t.Context(), query.ErrTooManySamples, 400, "invalid_argument", codes.InvalidArgument},
		{t.Context(), query.ErrNotSearch, 400, "invalid_argument", codes.InvalidArgument},
		{t.Context(), query.ErrNotMetrics, 400, "invalid_argument", codes.InvalidArgument},
		{t.Context(), query.ErrTooLong, 503, "unavailable", codes.Unavailable},
		{t.Context(), context.DeadlineExceeded, 503, "unavailable", codes.Unavailable},
		{gone, context.Canceled, 499, "unavailable", codes.Canceled},
		{t.Context(), errors.New("a secret path"), 500, "internal", codes.Internal},
	} {
		e := reply.From(c.ctx, log, c.err)
		if e.Status != c.status || e.Code != c.code || e.GRPC() != c.grpc || strings.Contains(e.Message, "secret") {
			t.Errorf("%v: %d %s %s %q", c.err, e.Status, e.Code, e.GRPC(), e.Message)
		}
	}
	if strings.Count(logged.String(), "\n") != 1 || !strings.Contains(logged.String(), "a secret path") {
		t.Errorf("logged: %s", logged.String())
	}
}

// A request has a time limit, unless it is for a stream, a method and a query.
func TestChecks(t *testing.T) {
	answer := func(limited bool) reply.Func {
		return func(w http.ResponseWriter, r *http.Request) error {
			if _, ok := r.Context().Deadline(); ok != limited {
				t.Errorf("%s %s: time limit is %t", r.Method, r.URL, ok)
			}
			return reply.JSON(w, "ok")
		}
	}
	for _, c := range []struct {
		check   func(http.ResponseWriter, *http.Request, reply.Func) error
		limited bool
		method  string
		target  string
		want    string
	}{
		{reply.Get, true, "GET", "/?a=1", ""},
		{reply.Get, true, "HEAD", "/", ""},
		{reply.Get, true, "POST", "/", "POST: want GET"},
		{reply.Get, true, "GET", "/?a=%zz", `query "a=%zz"`},
		{reply.Stream, false, "GET", "/", ""},
		{reply.Stream, false, "HEAD", "/", "HEAD: want GET"},
		{reply.Post, true, "POST", "/", ""},
		{reply.Post, true, "GET", "/", "GET: want POST"},
	} {
		w := httptest.NewRecorder()
		err := c.check(w, httptest.NewRequest(c.method, c.target, nil), answer(c.limited))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.method, c.target, err, c.want)
		}
		if err == nil && (w.Body.String() != "\"ok\"\n" || w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s %s: %q, %v", c.method, c.target, w.Body, w.Header())
		}
	}
}
