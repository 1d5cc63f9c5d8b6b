package client

import (
	"context"
	"maps"
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

// poll is the Tail of a server that can only be asked again and again.
func poll(ctx context.Context, search func(context.Context, Query) (Found, error), q Query, found func(Match) error) error {
	changes := make(chan struct{}, 1)
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-ticks.C:
			}
			select {
			case changes <- struct{}{}:
			default:
			}
		}
	}()
	return follow(ctx, search, q, changes, nil, found)
}

// version is what is known of a trace, to see whether it has grown.
type version struct {
	spans, errors, matched int
	end                    uint64
}

// follow searches at each change and tells of what is new. What is there at the
// beginning is not.
func follow(ctx context.Context, search func(context.Context, Query) (Found, error), q Query, changes <-chan struct{}, ended <-chan error, found func(Match) error) error {
	seen := map[span.TraceID]version{}
	q.Limit = max(q.Limit, tailLimit)
	ask := func(tell bool) error {
		q.End = time.Now().Add(time.Second)
		q.Start = q.End.Add(-tailWindow)
		answer, err := search(ctx, q)
		if err != nil {
			return err
		}
		for i := len(answer.Traces) - 1; i >= 0; i-- { // oldest first
			m := &answer.Traces[i]
			is := version{m.SpanCount, m.ErrorCount, m.Matched, m.EndTime}
			if seen[m.TraceID] == is {
				continue
			}
			seen[m.TraceID] = is
			if tell {
				if err := found(*m); err != nil {
					return err
				}
			}
		}
		if len(seen) > 4*q.Limit {
			current := map[span.TraceID]version{}
			for i := range answer.Traces {
				current[answer.Traces[i].TraceID] = seen[answer.Traces[i].TraceID]
			}
			clear(seen)
			maps.Copy(seen, current)
		}
		return nil
	}
	if err := ask(false); err != nil {
		return notCancelled(ctx, err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return notCancelled(ctx, err)
		case <-changes:
			if err := ask(true); err != nil {
				return notCancelled(ctx, err)
			}
		}
	}
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
