package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/throughline/throughline/backend/span"
)

// Keys is the keys of attributes, each sorted.
type Keys struct {
	Span, Resource, Scope, Event, Link []string
}

// maxListedKeys bounds the keys of each kind that are listed. Spans with keys that
// nobody else has can be without end.
const maxListedKeys = 10_000

// AttributeKeys returns which keys there are on spans that fulfil a condition and
// start in a range of unix nanoseconds, both ends included, and on their resources,
// scopes, events and links; an end of 0 is no bound. The range is widened to whole
// blocks of spans, and of events and links, all of a segment are taken where a span
// has any.
func (db *DB) AttributeKeys(ctx context.Context, where *Cond, start, end uint64) (keys Keys, err error) {
	err = db.query(func(r *reading) error {
		keys, err = r.attributeKeys(ctx, where, start, end)
		return err
	})
	return keys, err
}

func (r *reading) attributeKeys(ctx context.Context, where *Cond, start, end uint64) (keys Keys, err error) {
	s := &keyScan{where: where, span: newScanRange(start, end), plans: make([]spanPlan, len(r.segments))}
	where.refs(s.project.need)
	s.units = r.units(s.span)
	if err := r.work(ctx, len(s.units), s.worker); err != nil {
		return Keys{}, err
	}
	for i, list := range []*[]string{&keys.Span, &keys.Event, &keys.Link, &keys.Resource, &keys.Scope} {
		*list = slices.Sorted(maps.Keys(s.found[i]))
	}
	return keys, nil
}

// keyScan is an AttributeKeys under way.
type keyScan struct {
	where   *Cond
	span    scanRange
	project Projection
	units   []scanUnit
	plans   []spanPlan

	mu    sync.Mutex
	found [5]map[string]bool // by ScopeSpan, ScopeEvent, ScopeLink, and the next two
}

const (
	ofResource = 3
	ofScope    = 4
)

func (s *keyScan) add(kind int, key string) {
	if s.found[kind] == nil {
		s.found[kind] = map[string]bool{}
	}
	if m := s.found[kind]; !m[key] && len(m) < maxListedKeys {
		m[strings.Clone(key)] = true
	}
}

func (s *keyScan) attributes(kind int, attributes []span.Attribute) {
	for i := range attributes {
		s.add(kind, attributes[i].Key)
	}
}

func (s *keyScan) worker(r *reading, next func() (int, bool), check func() error) error {
	blocks := make([]*blockScan, len(r.segments))
	used := make([][]bool, len(r.segments)) // series that spans were found of
	for {
		i, ok := next()
		if !ok {
			return nil
		}
		u := &s.units[i]
		if u.head >= 0 {
			if err := s.head(r.heads[u.head], check); err != nil {
				return err
			}
			continue
		}
		seg := r.segments[u.segment]
		p := &s.plans[u.segment]
		b := blocks[u.segment]
		if b == nil {
			func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				if p.driver == nil {
					p.plan = newSegmentPlan(seg)
					p.driver = p.plan.compile(s.where)
				}
			}()
			b = newBlockScan(p.plan)
			blocks[u.segment], used[u.segment] = b, make([]bool, len(b.t.series))
		}
		fresh, err := s.segment(b, p.driver, u, used[u.segment], check)
		if err != nil {
			return err
		}
		if err := s.series(b, fresh, check); err != nil {
			return err
		}
	}
}

// segment returns the series of spans that fit in a unit and were not used yet, and
// marks them.
func (s *keyScan) segment(b *blockScan, where *scanNode, u *scanUnit, used []bool, check func() error) (fresh []int, err error) {
	if where.op == scanNone {
		return nil, nil
	}
	for k := u.from; k < u.to; k++ {
		if err := check(); err != nil {
			return nil, err
		}
		var set rowSet
		set.fill(b.rowsIn(k))
		b.eval(where, k, &set)
		keys := b.rowKeys(0, k)
		set.each(func(i int) {
			if !used[keys[i]] {
				used[keys[i]] = true
				fresh = append(fresh, int(keys[i]))
			}
		})
	}
	return fresh, nil
}

// series takes the keys of series of a segment.
func (s *keyScan) series(b *blockScan, list []int, check func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	resources, scopes, columns := map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}
	for _, n := range list {
		se := &b.t.series[n]
		if !resources[se.resource] {
			resources[se.resource] = true
			s.attributes(ofResource, b.resource(b.t, se.resource).Attributes)
		}
		if !scopes[se.scope] {
			scopes[se.scope] = true
			s.attributes(ofScope, b.scope(b.t, se.scope).Attributes)
		}
		for _, c := range b.t.shapes[se.shape] {
			columns[c] = true
		}
	}
	for c := range columns {
		ref := &b.foot.columns[c]
		switch {
		case ref.scope == ScopeSpan:
			s.add(int(ScopeSpan), ref.key)
		case ref.key == fieldEvents && ref.scope == ScopeSpanField:
			if err := s.children(b, ScopeEvent, check); err != nil {
				return err
			}
		case ref.key == fieldLinks && ref.scope == ScopeSpanField:
			if err := s.children(b, ScopeLink, check); err != nil {
				return err
			}
		case ref.key == fieldRest && ref.scope == ScopeSpanField:
			if err := s.rest(b, ref, ScopeSpan, check); err != nil {
				return err
			}
		}
	}
	return nil
}

// children takes the keys of all events or links of a segment.
func (s *keyScan) children(b *blockScan, scope Scope, check func() error) error {
	for i := range b.foot.columns {
		ref := &b.foot.columns[i]
		if ref.scope == scope {
			s.add(int(scope), ref.key)
		} else if ref.scope == scope+ScopeSpanField && ref.key == fieldRest {
			if err := s.rest(b, ref, scope, check); err != nil {
				return err
			}
		}
	}
	return nil
}

// rest takes the keys of attributes without a column.
func (s *keyScan) rest(b *blockScan, ref *columnRef, scope Scope, check func() error) error {
	var kept [2]page
	n := ref.n
	if ref.enc == encTable {
		n = ref.texts.ends.n
	}
	for at := range n {
		if at&255 == 255 {
			if err := check(); err != nil {
				return err
			}
		}
		var text []byte
		switch ref.enc {
		case encTable:
			text = b.table(ref.texts).at(at)
		case encPages:
			text = b.pageText(ref, &kept, at)
		default:
			b.fail("texts in a column of numbers")
		}
		s.attributes(int(scope), appendRest(nil, unsafeString(text)))
	}
	return nil
}

// head takes the keys of the spans of a head that fit.
func (s *keyScan) head(v *headView, check func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	may := v.may(s.where)
	used := make([]bool, len(v.series))
	var failed error
	var sp span.Span
	v.eachLive(func(i int, r *row) {
		if failed != nil {
			return
		}
		if i&1023 == 1023 {
			if failed = check(); failed != nil {
				return
			}
		}
		se := &v.series[r.series]
		plain := used[r.series] && !v.hasMore(se)
		if plain || may[r.series] == never || r.start < s.span.start || r.start > s.span.end {
			return
		}
		if may[r.series] == perhaps {
			if s.project.Everything {
				v.span(i, &sp)
			} else {
				v.project(i, &s.project, &sp)
			}
			if !s.where.Fits(&sp) {
				return
			}
		}
		used[r.series] = true
		s.attributes(ofResource, v.resources[se.resource].Attributes)
		s.attributes(ofScope, v.scopes[se.scope].Attributes)
		if v.hasMore(se) {
			v.span(i, &sp)
			s.attributes(int(ScopeSpan), sp.Attributes)
			for j := range sp.Events {
				s.attributes(int(ScopeEvent), sp.Events[j].Attributes)
			}
			for j := range sp.Links {
				s.attributes(int(ScopeLink), sp.Links[j].Attributes)
			}
			return
		}
		for _, c := range v.shapes[se.shape] {
			if v.columns[c].scope == ScopeSpan {
				s.add(int(ScopeSpan), v.columns[c].key)
			}
		}
	})
	return failed
}

// hasMore says whether spans of a series have keys that the series does not tell.
func (v *headView) hasMore(se *series) bool {
	return slices.ContainsFunc(v.shapes[se.shape], func(c int32) bool {
		col := v.columns[c]
		return col.scope == ScopeSpanField && (col.key == fieldEvents || col.key == fieldLinks || col.key == fieldRest)
	})
}
