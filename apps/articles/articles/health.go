package articles

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
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

// checkTimeout bounds the time of a check of health.
const checkTimeout = 3 * time.Second

// CheckReady asks the service that runs with cfg on this machine whether it takes requests.
func CheckReady(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	host := cfg.Host
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	url := "http://" + net.JoinHostPort(host, strconv.Itoa(cfg.Port)) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking for health: %w", err)
	}
	// Not the traced client: a check is no part of any trace.
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking for health: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
