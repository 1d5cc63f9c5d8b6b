package articles

import (
	"io"
	"net/http"
	"sync/atomic"
)

// Health answers /healthz (the process is alive) and /readyz (it takes requests), which are not traced. The zero value
// is not ready.
type Health struct{ ready atomic.Bool }

// SetReady says whether requests are taken.
func (h *Health) SetReady(ready bool) { h.ready.Store(ready) }

// Handler returns the health routes in front of next.
func (h *Health) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body := http.StatusOK, `{"status":"ok"}`
		switch r.URL.Path {
		default:
			next.ServeHTTP(w, r)
			return
		case "/healthz":
		case "/readyz":
			if !h.ready.Load() {
				status, body = http.StatusServiceUnavailable, `{"status":"not ready"}`
			}
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			methodNotAllowed(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body+"\n")
	})
}
