package store

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Filter selects traces. A trace fits when at least one of its spans fits all of
// the conditions together and the trace overlaps the range of time. The zero
// Filter selects all.
type Filter struct {
	Service     *string
	Name        *string // of the span, exactly
	Kind        *span.Kind
	Status      *span.StatusCode
	MinDuration time.Duration // of the span
	MaxDuration time.Duration // of the span; 0 means no bound
	Attributes  []AttributeFilter

	// Where, if it is not nil, decides last, about spans that fit the rest. It is
	// called without any lock held.
	Where func(*span.Span) bool

	// Bounds of the span's start, unix nanoseconds; 0 means none.
	StartMin, StartMax uint64

	// The range that the trace overlaps, unix nanoseconds; 0 means no bound.
	Start, End uint64
	Limit      int // of the traces found; 0 means no limit
}

// AttributeFilter demands an attribute of the span or else of its resource. The
// value is compared with [span.Value.Text].
type AttributeFilter struct {
	Key, Value string
}

// Found is the answer to a search.
type Found struct {
	Traces    []span.Summary // newest start first
	Truncated bool           // more traces fit than the limit
}

// Search finds traces, newest first. It walks the timeline of the service or of
// the operation that the filter names, else that of all traces, and stops at the
// limit, at the start of the range, or when ctx ends. A trace that changes
// meanwhile is found as it was or as it is, once.
func (db *DB) Search(ctx context.Context, f *Filter) (Found, error) {
	found := Found{Traces: []span.Summary{}}
	limit := f.Limit
	if limit <= 0 {
		limit = math.MaxInt - 1
	}
	last := key{start: math.MaxUint64, trace: &trace{number: math.MaxUint64}}
	if latest := f.latest(); latest != 0 {
		last.start = latest
	}
	q := newQuery(f)
	seen := map[*trace]bool{}
	page := make([]key, 0, min(pageTraces, limit+1))
	var candidates []candidate
	for {
		if err := ctx.Err(); err != nil {
			return Found{}, err
		}
		candidates, last, page = db.candidates(f, last, page, candidates)
		if len(page) == 0 {
			return found, nil
		}
		for i := range candidates {
			c := &candidates[i]
			if seen[c.trace] {
				continue
			}
			if len(c.undecided) > 0 {
				ok, err := q.decide(ctx, c.undecided)
				if err != nil {
					return Found{}, err
				}
				if !ok {
					continue
				}
				if c.summary, ok = db.summary(c.trace); !ok {
					continue // evicted in the meantime
				}
			}
			if len(found.Traces) == limit {
				found.Truncated = true
				return found, nil
			}
			seen[c.trace] = true
			found.Traces = append(found.Traces, c.summary)
		}
	}
}

// Match returns the summaries of those of the traces that fit f, in the order of
// ids, without those that are not held.
func (db *DB) Match(ctx context.Context, ids []span.TraceID, f *Filter) ([]span.Summary, error) {
	q := newQuery(f)
	list := []span.Summary{}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if f.Limit > 0 && len(list) == f.Limit {
			break
		}
		db.mu.RLock()
		t := db.traces[id]
		var undecided []held
		var s span.Summary
		fits := false
		if t != nil {
			if fits, undecided = t.fits(f); fits {
				s = t.summary()
			}
		}
		db.mu.RUnlock()
		if len(undecided) > 0 {
			ok, err := q.decide(ctx, undecided)
			if err != nil {
				return nil, err
			}
			if ok {
				s, fits = db.summary(t)
			}
		}
		if fits {
			list = append(list, s)
		}
	}
	return list, nil
}

func (db *DB) summary(t *trace) (span.Summary, bool) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.traces[t.id] != t {
		return span.Summary{}, false
	}
	return t.summary(), true
}

// candidate is a trace that fits, with its summary, or one that fits if one of
// its undecided spans does.
type candidate struct {
	trace     *trace
	summary   span.Summary
	undecided []held
}

// held is an encoded span, which may be read without the lock.
type held struct {
	data   string
	origin *origin
}

// One hold of the lock ends after so many traces or entries looked at, whichever
// is first: a few tenths of a millisecond.
const (
	pageTraces  = 256
	pageEntries = 16_384
)

// candidates looks at the traces before last. An empty page says that there are
// no more.
func (db *DB) candidates(f *Filter, last key, page []key, to []candidate) ([]candidate, key, []key) {
	to = to[:0]
	db.mu.RLock()
	defer db.mu.RUnlock()
	page = db.page(f, last, page[:0])
	looked := 0
	for _, k := range page {
		if looked > pageEntries {
			break
		}
		last = k
		looked += len(k.trace.entries)
		if ok, undecided := k.trace.fits(f); ok {
			to = append(to, candidate{trace: k.trace, summary: k.trace.summary()})
		} else if len(undecided) > 0 {
			to = append(to, candidate{trace: k.trace, undecided: undecided})
		}
	}
	return to, last, page
}

// maxTimelines bounds how many timelines of operations are merged; a name that
// more services have is looked for in the next coarser one.
const maxTimelines = 16

// page appends the traces before last that the indexes cannot rule out, newest
// first, up to the capacity of page.
func (db *DB) page(f *Filter, last key, page []key) []key {
	lines := db.timelines(f)
	switch len(lines) {
	case 0:
		return page
	case 1:
		return lines[0].before(last, max(f.Start, f.StartMin), page)
	}
	var all []key
	for _, l := range lines {
		all = append(all, l.before(last, max(f.Start, f.StartMin), make([]key, 0, cap(page)))...)
	}
	slices.SortFunc(all, func(a, b key) int {
		if a == b {
			return 0
		}
		if b.less(a) {
			return -1
		}
		return 1
	})
	all = slices.Compact(all) // a trace is in the timelines of several operations
	return append(page, all[:min(len(all), cap(page))]...)
}

// timelines returns the shortest timelines that together hold every trace that
// may fit.
func (db *DB) timelines(f *Filter) []*timeline {
	if f.Service == nil && f.Name == nil {
		return []*timeline{&db.timeline}
	}
	var lines []*timeline
	add := func(s *service) {
		for _, op := range s.byName[*f.Name] {
			if f.Kind == nil || op.kind == *f.Kind {
				lines = append(lines, &op.timeline)
			}
		}
	}
	if f.Service != nil {
		s := db.services[*f.Service]
		if s == nil {
			return nil
		}
		if f.Name == nil {
			return []*timeline{&s.timeline}
		}
		if add(s); len(lines) > maxTimelines {
			return []*timeline{&s.timeline}
		}
		return lines
	}
	for _, s := range db.services {
		if add(s); len(lines) > maxTimelines {
			return []*timeline{&db.timeline}
		}
	}
	return lines
}
