package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// articles answers as the service does, as far as this package looks at it, and
// remembers what it was asked.
type articles struct {
	mu      sync.Mutex
	asked   []string
	running int
	most    int
	delay   time.Duration
}

func (a *articles) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked = append(a.asked, r.URL.RequestURI())
	a.running++
	a.most = max(a.most, a.running)
	a.mu.Unlock()
	time.Sleep(a.delay)
	a.mu.Lock()
	a.running--
	a.mu.Unlock()
	switch {
	case strings.Contains(r.URL.RawQuery, "maybe"):
		http.Error(w, "bad", http.StatusBadRequest)
	case r.URL.Path == "/articles/v1/":
		fmt.Fprint(w, `{"articles":[{"id":"aa"},{"id":"bb"}]}`)
	case r.URL.Path == "/articles/v1/aa/" || r.URL.Path == "/articles/v1/bb/":
		fmt.Fprint(w, `{}`)
	default:
		http.NotFound(w, r)
	}
}

func start(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func config(url string) Config {
	return Config{URL: url, Count: 200, Duration: time.Minute, Concurrency: 4, Errors: 0.2, Seed: 1, Timeout: 10 * time.Second}
}

func TestRun(t *testing.T) {
	a := &articles{delay: time.Millisecond}
	c := config(start(t, a))
	var told []int
	c.Progress = func(done, total int) {
		if total != 200 {
			t.Errorf("total %d", total)
		}
		told = append(told, done)
	}
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 200 || r.Failed != 0 || r.Err != nil || len(r.Latencies) != 200 || !slices.IsSorted(r.Latencies) || len(told) != 200 || !slices.IsSorted(told) {
		t.Errorf("%+v, told %d", r, len(told))
	}
	if r.Statuses[200]+r.Statuses[400]+r.Statuses[404] != 200 || r.Statuses[400] == 0 || r.Statuses[404] == 0 || r.Statuses[200] < 130 {
		t.Errorf("statuses %v", r.Statuses)
	}
	if a.most > c.Concurrency || a.most < 2 {
		t.Errorf("%d requests at a time, want at most %d", a.most, c.Concurrency)
	}
	if r.Quantile(0.5) < time.Millisecond || r.Quantile(1) != r.Latencies[199] {
		t.Errorf("p50 %s, max %s", r.Quantile(0.5), r.Quantile(1))
	}
	for _, kind := range []string{"/articles/v1/", "/articles/v1/?with_suggested=1", "/articles/v1/aa/", "/articles/v1/bb/?with_suggested=1"} {
		if !slices.Contains(a.asked, kind) {
			t.Errorf("%s was never asked for", kind)
		}
	}
}

// The same seed asks for the same in the same order.
func TestSeed(t *testing.T) {
	ask := func(seed uint64) []string {
		a := &articles{}
		c := config(start(t, a))
		c.Count, c.Concurrency, c.Seed = 50, 1, seed
		if _, err := Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		return a.asked
	}
	if !slices.Equal(ask(7), ask(7)) || slices.Equal(ask(7), ask(8)) {
		t.Error("the seed does not decide what is asked")
	}
}

func TestBounds(t *testing.T) {
	c := config(start(t, &articles{}))
	c.Count, c.Rate, c.Duration = 1000, 50, 300*time.Millisecond
	r, err := Run(t.Context(), c)
	if err != nil || r.Sent == 0 || r.Sent > 30 {
		t.Errorf("50 a second for 0.3 s: %d sent, %v", r.Sent, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.Count, c.Rate, c.Duration = 1_000_000, 0, time.Hour
	c.Progress = func(done, _ int) {
		if done == 10 {
			cancel()
		}
	}
	if r, err = Run(ctx, c); err != nil || r.Sent > 10+c.Concurrency {
		t.Errorf("cancelled after 10: %d sent, %v", r.Sent, err)
	}
}

func TestNoService(t *testing.T) {
	c := config("http://127.0.0.1:1")
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "asking for the list of articles") {
		t.Errorf("nobody listens: %v", err)
	}
	c.URL = start(t, http.NotFoundHandler())
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "is that the articles service?") {
		t.Errorf("another service: %v", err)
	}
	// It answers the list once, and then no more.
	var once sync.Once
	c.URL = start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		first := false
		once.Do(func() { first = true })
		if !first {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, `{"articles":[]}`)
	}))
	c.Count = 10
	if r, err := Run(t.Context(), c); err != nil || r.Failed != 10 || r.Err == nil {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"remote":      func(c *Config) { c.URL = "http://203.0.113.9" },
		"a name":      func(c *Config) { c.URL = "http://localhost.evil.example" },
		"scheme":      func(c *Config) { c.URL = "file:///etc" },
		"none":        func(c *Config) { c.URL = "" },
		"count 0":     func(c *Config) { c.Count = 0 },
		"count":       func(c *Config) { c.Count = MaxCount + 1 },
		"duration":    func(c *Config) { c.Duration = 0 },
		"long":        func(c *Config) { c.Duration = MaxDuration + 1 },
		"rate":        func(c *Config) { c.Rate = -1 },
		"concurrency": func(c *Config) { c.Concurrency = MaxConcurrency + 1 },
		"errors":      func(c *Config) { c.Errors = 1.1 },
		"timeout":     func(c *Config) { c.Timeout = 0 },
	} {
		c := config("http://127.0.0.1:1")
		change(&c)
		if _, err := Run(t.Context(), c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
