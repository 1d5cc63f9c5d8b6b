package api

import (
	"bytes"
	"fmt"
	"math"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// cursor is a place in the list of traces, which is by start, newest first, and
// then by id, greatest first: after the trace that it names. Traces that arrive
// later appear on later pages where they belong there.
type cursor struct {
	start uint64
	id    span.TraceID
	ties  int // traces before the place that begin at the same time
}

func (c cursor) String() string { return fmt.Sprintf("%d.%s.%d", c.start, c.id, c.ties) }

func parseCursor(s string) (cursor, error) {
	var c cursor
	var id string
	if n, err := fmt.Sscanf(s, "%d.%32s.%d", &c.start, &id, &c.ties); n != 3 || err != nil {
		return c, reply.Invalid("cursor %q: want the nextCursor of an answer", reply.Clip(s))
	}
	var err error
	c.id, err = span.ParseTraceID(id)
	if err != nil || c.ties < 1 || c.ties > math.MaxInt32 || c.String() != s {
		return c, reply.Invalid("cursor %q: want the nextCursor of an answer", reply.Clip(s))
	}
	return c, nil
}

// narrow bounds a search to what comes after the place, and those that begin
// with it.
func (c cursor) narrow(f *store.Filter) {
	if f.End == 0 || f.End > c.start {
		f.End = c.start
	}
	f.Limit += c.ties
}

// rest leaves out what is not after the place, and what is more than the limit.
func (c cursor) rest(found *store.Found, limit int) {
	list := found.Traces
	for len(list) > 0 && (list[0].StartTime > c.start || list[0].StartTime == c.start && bytes.Compare(list[0].TraceID[:], c.id[:]) >= 0) {
		list = list[1:]
	}
	if len(list) > limit {
		list, found.Truncated = list[:limit], true
	}
	found.Traces = list
}

// next is the place after the last trace of a page; c is that before it.
func (c cursor) next(page []span.Summary, limit int) cursor {
	if len(page) == 0 {
		// Since the last page so many traces have come that begin with it that
		// they filled this one.
		c.ties += limit
		return c
	}
	last := &page[len(page)-1]
	n := cursor{start: last.StartTime, id: last.TraceID}
	for i := range page {
		if page[i].StartTime == n.start {
			n.ties++
		}
	}
	if c.start == n.start {
		n.ties += c.ties
	}
	return n
}
