package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Tail asks about the traces of which the server says that they have arrived.
func (t *throughline) Tail(ctx context.Context, q Query, found func(Match) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := t.r.open(ctx, "text/event-stream", native+"stream", nil)
	if err != nil {
		return notCancelled(ctx, err)
	}
	a := &arrivals{ready: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		defer resp.Body.Close()
		ended <- a.read(resp.Body)
	}()
	// A wrong query is told of before something arrives.
	once := q
	once.Limit, once.Start, once.End = 1, lately().start, lately().end
	if _, err := t.Search(ctx, once); err != nil {
		return notCancelled(ctx, err)
	}
	f := &follower{search: t.Search, query: q, found: found, seen: map[span.TraceID]version{}}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return notCancelled(ctx, err)
		case <-a.ready:
			if err := f.ask(ctx, a.take(), true); err != nil {
				return notCancelled(ctx, err)
			}
		}
	}
}

// arrivals gathers what a stream says between two questions.
type arrivals struct {
	ready chan struct{}

	mu    sync.Mutex
	ids   map[span.TraceID]struct{}
	since uint64 // first start, unix nanoseconds
	until uint64 // last end
	reset bool   // some were left out
}

// maxEvent bounds one line of a stream, and maxArrivals the traces between two
// questions.
const (
	maxEvent    = 1 << 20
	maxArrivals = 10_000
)

// read reads server-sent events until the stream ends.
func (a *arrivals) read(stream io.Reader) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxEvent)
	event := ""
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		} else if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			a.add(event, data)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the stream of traces: %w", err)
	}
	return errors.New("the server ended the stream of traces")
}

func (a *arrivals) add(event, data string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch event {
	case "trace":
		var t nativeTrace
		if json.Unmarshal([]byte(data), &t) != nil {
			return
		}
		m, err := t.match()
		if err != nil {
			return
		}
		if len(a.ids) == maxArrivals {
			a.reset = true
			break
		}
		if a.ids == nil {
			a.ids = map[span.TraceID]struct{}{}
			a.since = m.StartTime
		}
		a.ids[m.TraceID] = struct{}{}
		a.since, a.until = min(a.since, m.StartTime), max(a.until, m.EndTime)
	case "reset":
		a.reset = true
	default:
		return
	}
	select {
	case a.ready <- struct{}{}:
	default:
	}
}

// take is where to look for what has arrived since the last time.
func (a *arrivals) take() window {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := lately()
	if !a.reset && a.ids != nil {
		w = window{start: time.Unix(0, int64(min(a.since, 1<<63-1))), end: time.Unix(0, int64(min(a.until, 1<<63-1))), ids: a.ids}
	}
	a.ids, a.since, a.until, a.reset = nil, 0, 0, false
	return w
}
