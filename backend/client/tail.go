package client

import (
	"context"
	"time"

	"github.com/throughline/throughline/backend/span"
)

const (
	// pollEvery is how often a server is asked that does not tell of arrivals.
	pollEvery = time.Second
	// tailWindow is how far back a trace may begin to be told of; what arrives
	// later than that after its beginning is missed.
	tailWindow = 2 * time.Minute
	// tailLimit bounds the traces of one answer.
	tailLimit = 500
)

// window is where to look for what has changed.
type window struct {
	start, end time.Time
	ids        map[span.TraceID]struct{} // of the traces that have; nil: any may have
}

func lately() window {
	now := time.Now()
	return window{start: now.Add(-tailWindow), end: now.Add(time.Second)}
}

// poll is the Tail of a server that can only be asked again and again.
func poll(ctx context.Context, search searchFunc, q Query, found func(Match) error) error {
	f := &follower{search: search, query: q, found: found, seen: map[span.TraceID]version{}}
	// What is there at the beginning has not arrived since.
	if err := f.ask(ctx, lately(), false); err != nil {
		return notCancelled(ctx, err)
	}
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		if err := f.ask(ctx, lately(), true); err != nil {
			return notCancelled(ctx, err)
		}
	}
}

type searchFunc = func(context.Context, Query) (Found, error)

// follower tells of each trace when it has changed.
type follower struct {
	search searchFunc
	query  Query
	found  func(Match) error
	seen   map[span.TraceID]version
}

// version is what is known of a trace, to see whether it has grown.
type version struct {
	spans, errors, matched int
	end                    uint64
}

func (f *follower) ask(ctx context.Context, w window, tell bool) error {
	q := f.query
	q.Limit, q.Start, q.End = max(q.Limit, tailLimit), w.start, w.end
	answer, err := f.search(ctx, q)
	if err != nil {
		return err
	}
	if len(f.seen) > 10*tailLimit {
		clear(f.seen) // at worst, a trace is told of again
	}
	for i := len(answer.Traces) - 1; i >= 0; i-- { // oldest first
		m := &answer.Traces[i]
		if _, changed := w.ids[m.TraceID]; w.ids != nil && !changed {
			continue
		}
		is := version{m.SpanCount, m.ErrorCount, m.Matched, m.EndTime}
		if f.seen[m.TraceID] == is {
			continue
		}
		f.seen[m.TraceID] = is
		if tell {
			if err := f.found(*m); err != nil {
				return err
			}
		}
	}
	return nil
}

// notCancelled leaves out the errors that ctx's end made.
func notCancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (t *tempo) Tail(ctx context.Context, q Query, found func(Match) error) error {
	return poll(ctx, t.Search, q, found)
}

func (j *jaeger) Tail(ctx context.Context, q Query, found func(Match) error) error {
	return poll(ctx, j.Search, q, found)
}
