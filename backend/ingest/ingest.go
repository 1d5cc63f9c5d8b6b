// Package ingest receives spans by OTLP, over gRPC and over HTTP (protobuf and
// JSON), and appends them to a store.
//
// A request is answered when the store has taken its spans. Spans that make no
// sense are left out and the client is told how many and why, by partial
// success; a request that cannot be read or is over a limit is refused as a
// whole. What a client may send is bounded in bytes, as it comes and
// decompressed, in the nesting of attributes, and in how many requests are in
// work at once; beyond the last, clients are asked to try again. They are asked
// likewise while the store cannot write. With tokens, a request without one of
// them is refused before anything of it is read.
//
// Only traces are received. What was refused last is remembered with its reason,
// and so are the usual mistakes: the wrong path, HTTP sent to the gRPC port,
// gRPC sent to the HTTP port, TLS sent to a plaintext port. Browsers cannot send
// spans unless their origin is allowed: CORS is off by default.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/throughline/throughline/backend/access"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// Limits bound what one request may cost. A zero field means its default.
type Limits struct {
	Body         int64 // bytes of a request as it comes; 16 MiB
	Decompressed int64 // bytes of a request after gzip; 64 MiB
	Depth        int   // nesting of lists and maps in attributes; 32
	InFlight     int64 // memory of all requests in work, at most; 512 MiB
}

func (l Limits) orDefault() Limits {
	if l.Body == 0 {
		l.Body = 16 << 20
	}
	if l.Decompressed == 0 {
		l.Decompressed = 64 << 20
	}
	l.Decompressed = max(l.Decompressed, l.Body)
	if l.Depth == 0 {
		l.Depth = 32
	}
	if l.InFlight == 0 {
		l.InFlight = 512 << 20
	}
	return l
}

// Config is what a Receiver needs and may be told.
type Config struct {
	Store  *store.DB
	Limits Limits
	// Origins are those whose pages may post to the HTTP receiver, such as
	// "https://shop.example". Without any, CORS is off.
	Origins []string
	// AllowHost decides about the Host header of HTTP requests; nil allows all.
	AllowHost func(host string) bool
	// Tokens are asked for in the Authorization header; nil takes everybody.
	Tokens *access.Tokens
	// Certificates make both receivers speak TLS; nil is plaintext.
	Certificates *access.Certificates
	// GRPCAddress and HTTPAddress are told to clients that took the wrong port.
	GRPCAddress, HTTPAddress string

	// Observe, unless it is nil, is told how long each request took that was
	// read, and how long the store took of it.
	Observe func(protocol string, whole, stored time.Duration)

	Log *slog.Logger     // nil means slog.Default
	Now func() time.Time // nil means time.Now
}

// Receiver takes export requests. Make it with New, serve with ServeGRPC and
// ServeHTTP, end with Shutdown.
type Receiver struct {
	config   Config
	grpc     *grpc.Server
	http     *http.Server
	stopping atomic.Bool
	slots    chan struct{} // held by the gRPC requests in work
	giveWay  chan struct{} // to one of them that is slow to come, from one that waits
	inFlight atomic.Int64  // bytes of requests in work

	acceptedSpans, rejectedSpans, rejectedRequests atomic.Uint64
	lastAccepted                                   atomic.Int64 // unix nanoseconds
	unstored                                       atomic.Int64 // when the store last could not write, unix nanoseconds
	deniedRequests                                 atomic.Uint64

	mu           sync.Mutex // guards the rest
	lastRejected Rejection
	loggedAt     time.Time // of the last line about a rejection
	unlogged     int       // rejections since then
}

// Stats says what was received since the start.
type Stats struct {
	AcceptedSpans    uint64
	RejectedSpans    uint64
	RejectedRequests uint64    // those that were denied included
	DeniedRequests   uint64    // for want of a token
	InFlightBytes    int64     // memory that requests in work may take now
	LastAccepted     time.Time // zero while there is none
	LastRejected     Rejection // its Time is zero while there is none
}

// Rejection is a request that was refused, or of which spans were.
type Rejection struct {
	Time     time.Time
	Protocol string // "grpc" or "http": the receiver
	Reason   string
}

// New makes a receiver that appends to config.Store.
func New(config Config) *Receiver {
	config.Limits = config.Limits.orDefault()
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	r := &Receiver{config: config, slots: make(chan struct{}, 4*runtime.GOMAXPROCS(0)), giveWay: make(chan struct{})}
	r.grpc = r.newGRPC()
	r.http = r.newHTTP()
	return r
}

// Stats returns the present figures.
func (r *Receiver) Stats() Stats {
	s := Stats{
		AcceptedSpans:    r.acceptedSpans.Load(),
		RejectedSpans:    r.rejectedSpans.Load(),
		RejectedRequests: r.rejectedRequests.Load(),
		DeniedRequests:   r.deniedRequests.Load(),
		InFlightBytes:    r.inFlight.Load(),
	}
	if at := r.lastAccepted.Load(); at != 0 {
		s.LastAccepted = time.Unix(0, at)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.LastRejected = r.lastRejected
	return s
}

// Shutdown stops taking requests, lets those in work end until ctx does, and
// closes what is left.
func (r *Receiver) Shutdown(ctx context.Context) error {
	r.stopping.Store(true)
	stopped := make(chan struct{})
	go func() {
		r.grpc.GracefulStop()
		close(stopped)
	}()
	err := r.http.Shutdown(ctx)
	select {
	case <-stopped:
	case <-ctx.Done():
		r.grpc.Stop()
		<-stopped
		err = errors.Join(err, fmt.Errorf("stopping the gRPC receiver: %w", ctx.Err()))
	}
	if err != nil {
		err = errors.Join(err, r.http.Close())
	}
	return err
}

// refusal is why a request is not taken, in the terms of both protocols.
type refusal struct {
	code   codes.Code
	status int
	reason string
}

func (e *refusal) Error() string { return e.reason }

// retryAfter is what clients are told to wait when they should try again.
const retryAfter = time.Second

// export stores the spans of a request in protobuf, which it does not keep.
// rejected are those that were lost on the way to protobuf.
// It came at began.
func (r *Receiver) export(ctx context.Context, protocol, request string, rejected span.Rejected, began time.Time) (span.Rejected, error) {
	storing := time.Now()
	accepted, more, err := r.config.Store.AppendRequest(ctx, request)
	if r.config.Observe != nil {
		now := time.Now()
		r.config.Observe(protocol, now.Sub(began), now.Sub(storing))
	}
	rejected.Merge(&more)
	if err != nil {
		switch {
		case errors.Is(err, store.ErrClosed):
			return rejected, &refusal{codes.Unavailable, http.StatusServiceUnavailable, "the server is stopping"}
		case errors.Is(err, store.ErrUnavailable):
			r.unstored.Store(r.config.Now().UnixNano())
			return rejected, &refusal{codes.Unavailable, http.StatusServiceUnavailable, cannotWrite(err)}
		case ctx.Err() != nil:
			return rejected, &refusal{codes.Canceled, 499, "the client gave up"}
		}
		return rejected, decodeError(err)
	}
	r.rejectedSpans.Add(uint64(rejected.Count))
	if rejected.Count > 0 {
		r.remember(protocol, rejected.String())
	}
	if accepted > 0 {
		r.acceptedSpans.Add(uint64(accepted))
		r.lastAccepted.Store(r.config.Now().UnixNano())
	}
	return rejected, nil
}

// cannotWrite says why the store cannot write, as far as a client should know.
func cannotWrite(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "the store cannot write now, its disk is full: try again"
	case errors.Is(err, syscall.EROFS):
		return "the store cannot write now, its disk is read-only: try again"
	}
	return "the store cannot write now, try again"
}

// unstoredFor is how long the receiver calls itself unready after the store could
// not write. It ends by itself, because only an append finds out that the disk is
// well again, and who asks for readiness may send nothing until then.
const unstoredFor = 10 * time.Second

// errUnstored is what readiness says during that time.
var errUnstored = errors.New("spans cannot be stored now")

// ready says why the receiver cannot take spans.
func (r *Receiver) ready() error {
	switch at := r.unstored.Load(); {
	case r.stopping.Load():
		return errors.New("stopping")
	case at != 0 && r.config.Now().Sub(time.Unix(0, at)) < unstoredFor && r.config.Store.Stats().Unwritable != nil:
		return errUnstored
	}
	return nil
}

// denied is the refusal of a request without one of the tokens.
var denied = &refusal{
	codes.Unauthenticated, http.StatusUnauthorized,
	"a token is needed to send spans here: header Authorization, value Bearer and the token of --otlp-token",
}

// decodeError says how a request that cannot be decoded is refused.
func decodeError(err error) *refusal {
	if errors.Is(err, span.ErrTooDeep) || errors.Is(err, span.ErrTooLarge) {
		return &refusal{codes.ResourceExhausted, http.StatusRequestEntityTooLarge, err.Error()}
	}
	return &refusal{codes.InvalidArgument, http.StatusBadRequest, err.Error()}
}

// refuse counts a request that is not taken.
func (r *Receiver) refuse(protocol, reason string) {
	r.rejectedRequests.Add(1)
	r.remember(protocol, reason)
}

func (r *Receiver) remember(protocol, reason string) {
	const most = 500
	if len(reason) > most {
		reason = reason[:most] + "…"
	}
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	now := r.config.Now()
	r.mu.Lock()
	r.lastRejected = Rejection{now, protocol, reason}
	r.unlogged++
	n := r.unlogged
	log := r.loggedAt.IsZero() || now.Sub(r.loggedAt) >= logEvery
	if log {
		r.loggedAt, r.unlogged = now, 0
	}
	r.mu.Unlock()
	if log {
		r.config.Log.Warn("rejected", "protocol", protocol, "reason", reason, "rejections", n)
	}
}

// logEvery is the least time between two log lines about rejections.
const logEvery = 10 * time.Second

// decoded is the most memory that one request may take when decoded.
const decoded = 256 << 20

func (r *Receiver) limits() span.Limits {
	return span.Limits{Depth: r.config.Limits.Depth, Memory: decoded}
}

// cost is the most memory that the work on a request body takes: itself, for JSON
// the copies that its decoder makes, and what it decodes to, which for real spans
// is less than four times as much and for any others is cut off.
func cost(body int, json bool) int64 {
	n := int64(body)
	if json {
		n *= 3
	}
	return n + min(4*int64(body), decoded)
}

// holding is what one request has of the memory that all may take.
type holding struct {
	receiver *Receiver
	bytes    int64
}

// hold makes it n bytes.
func (h *holding) hold(n int64) *refusal {
	r := h.receiver
	if most := r.config.Limits.InFlight; n > most { // at any time, so trying again is of no use
		return &refusal{
			codes.ResourceExhausted, http.StatusRequestEntityTooLarge,
			fmt.Sprintf("request is too large: it may take %d bytes of memory, and all in work together %d", n, most),
		}
	}
	if total := r.inFlight.Add(n - h.bytes); n > h.bytes && total > r.config.Limits.InFlight {
		r.inFlight.Add(h.bytes - n)
		return &refusal{
			codes.Unavailable, http.StatusServiceUnavailable,
			fmt.Sprintf("the requests in work take the %d bytes that they may, try again", r.config.Limits.InFlight),
		}
	}
	h.bytes = n
	return nil
}

func (h *holding) release() {
	h.receiver.inFlight.Add(-h.bytes)
	h.bytes = 0
}
