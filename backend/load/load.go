// Package load sends requests to the articles service, as many as it is told and
// no faster, so that there are traces to look at and a service to measure.
//
// It is bounded by a count and by a time, both of which it always has, and by a
// number of requests under way. The mix of requests comes from a seed. A service
// that is slower than the rate is not overrun: requests wait for a free place, and
// what could not be sent in time is not sent. Answers are read to their end and
// thrown away.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// Config says what to send.
type Config struct {
	// URL of the articles service.
	URL string
	// Count of requests at most, 1 to MaxCount, and how long at most to send.
	Count    int
	Duration time.Duration
	Rate     float64 // requests per second; 0 is as fast as Concurrency allows
	// Concurrency is how many requests are under way at most.
	Concurrency int
	// Errors is the part of the requests that ask for what is not there, 0 to 1.
	Errors float64
	Seed   uint64
	// Timeout of one request.
	Timeout time.Duration
	// Remote allows a service that is not on this machine.
	Remote bool
	// Progress, when set, is told after each request how many are done.
	Progress func(done, total int)
}

// The bounds of a Config.
const (
	MaxCount       = 1_000_000
	MaxConcurrency = 256
	MaxDuration    = 24 * time.Hour
)

// Report is what came of it.
type Report struct {
	Sent     int
	Took     time.Duration
	Statuses map[int]int // answers by their status
	Failed   int         // requests without an answer
	Err      error       // the first reason of those, nil when there is none
	// Latencies of the answers, ascending.
	Latencies []time.Duration
}

// Quantile of the latencies, the nearest that was measured; 0 when there is none.
func (r *Report) Quantile(q float64) time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	return r.Latencies[min(len(r.Latencies)-1, int(q*float64(len(r.Latencies))))]
}

// ErrConfig is wrapped by the errors of settings that cannot be.
var ErrConfig = errors.New("impossible settings")

func (c *Config) check() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%w: URL %q: want that of articles, such as http://localhost:8001", ErrConfig, c.URL)
	}
	switch {
	case !c.Remote && !onThisMachine(u.Hostname()):
		return nil, fmt.Errorf("%w: %s is not this machine, and a load that nobody asked for is an attack: allow it explicitly", ErrConfig, u.Host)
	case c.Count < 1 || c.Count > MaxCount:
		return nil, fmt.Errorf("%w: %d requests: want 1 to %d", ErrConfig, c.Count, MaxCount)
	case c.Duration <= 0 || c.Duration > MaxDuration:
		return nil, fmt.Errorf("%w: duration %s: want more than 0 and at most %s", ErrConfig, c.Duration, MaxDuration)
	case c.Rate < 0 || c.Rate > 100_000:
		return nil, fmt.Errorf("%w: rate %v: want 0 to 100000 a second", ErrConfig, c.Rate)
	case c.Concurrency < 1 || c.Concurrency > MaxConcurrency:
		return nil, fmt.Errorf("%w: concurrency %d: want 1 to %d", ErrConfig, c.Concurrency, MaxConcurrency)
	case !(c.Errors >= 0 && c.Errors <= 1):
		return nil, fmt.Errorf("%w: errors %v: want 0 to 1", ErrConfig, c.Errors)
	case c.Timeout <= 0:
		return nil, fmt.Errorf("%w: timeout %s: want more than 0", ErrConfig, c.Timeout)
	}
	return u, nil
}

func onThisMachine(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Run sends until the count is reached, the time is over or ctx ends. It asks for
// the list of articles first, and fails when there is no answer to that.
func Run(ctx context.Context, c Config) (*Report, error) {
	base, err := c.check()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = c.Concurrency
	defer transport.CloseIdleConnections()
	s := &sender{
		config: c, client: &http.Client{Transport: transport, Timeout: c.Timeout},
		report: Report{Statuses: map[int]int{}},
	}
	ids, err := s.articles(ctx, base)
	if err != nil {
		return nil, err
	}
	requests := mix(c, base, ids)
	limit := rate.Inf
	if c.Rate > 0 {
		limit = rate.Limit(c.Rate)
	}
	limiter := rate.NewLimiter(limit, 1)
	began := time.Now()
	sending, cancel := context.WithTimeout(ctx, c.Duration)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(c.Concurrency)
	for range c.Count {
		// The limiter says at once when the time would be over.
		if limiter.Wait(sending) != nil || sending.Err() != nil {
			break
		}
		to := requests()
		group.Go(func() error {
			s.send(ctx, to)
			return nil
		})
	}
	_ = group.Wait() // none of them returns an error
	s.report.Took = time.Since(began)
	slices.Sort(s.report.Latencies)
	return &s.report, nil
}

type sender struct {
	config Config
	client *http.Client

	mu     sync.Mutex
	report Report
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

func (s *sender) get(ctx context.Context, to string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := s.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, body, err
}

func (s *sender) send(ctx context.Context, to string) {
	began := time.Now()
	status, _, err := s.get(ctx, to)
	took := time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.report
	r.Sent++
	if err != nil {
		r.Failed++
		if r.Err == nil {
			r.Err = err
		}
	} else {
		r.Statuses[status]++
		r.Latencies = append(r.Latencies, took)
	}
	if s.config.Progress != nil {
		s.config.Progress(r.Sent, s.config.Count)
	}
}

// mix draws requests: half of them for one article, a quarter each for the list
// and for the list with suggestions; and, of all, the errors.
func mix(c Config, base *url.URL, ids []string) func() string {
	r := rand.New(rand.NewPCG(c.Seed, 0))
	list := base.JoinPath("articles/v1/").String()
	one := func(id string) string { return base.JoinPath("articles/v1", id).String() + "/" }
	return func() string {
		if r.Float64() < c.Errors {
			if r.IntN(2) == 0 {
				return list + "?with_suggested=maybe"
			}
			return one(fmt.Sprintf("%032x", r.Uint64()))
		}
		switch n := r.IntN(4); {
		case n == 0 || len(ids) == 0:
			return list
		case n == 1:
			return list + "?with_suggested=1"
		}
		to := one(ids[r.IntN(len(ids))])
		if r.IntN(2) == 0 {
			to += "?with_suggested=1"
		}
		return to
	}
}
