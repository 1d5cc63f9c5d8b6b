package store

import (
	"math"
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// scanOp is what a scanNode does.
type scanOp uint8

const (
	scanAll scanOp = iota
	scanNone
	scanAnd
	scanOr
	scanNot
	scanSeries   // by a table of series
	scanColumns  // any of some columns of the spans
	scanChildren // any event or link, by columns of those
	scanDuration
	scanRoots
)

// scanNode is a condition in the terms of one segment. It does not change.
type scanNode struct {
	op      scanOp
	of      []*scanNode
	lut     []uint8       // by series
	columns []*scanColumn // of spans, or of events or links
	ends    *scanColumn   // of scanChildren: where those of each span end
	table   int           // of scanChildren: 1 events, 2 links
	number  int           // of scanChildren: where its results are kept
	lo, hi  uint64        // of scanDuration
}

var (
	allNode  = &scanNode{op: scanAll}
	noneNode = &scanNode{op: scanNone}
)

// scanColumn is a column with what is wanted of it.
type scanColumn struct {
	ref    *columnRef
	has    []uint8 // by series, or by shape of events and links: 1 when the row has a value
	use    []uint8 // 1 when the value counts, nil when all do
	number int     // where the state of reading it is kept

	any    bool              // every value is wanted
	lut    []uint8           // by position in the dictionary
	lo, hi uint64            // as they are packed, when match and text are nil
	match  func(uint64) bool // packed values
	text   func([]byte) bool
	test   *Test  // of text, nil when it must be read to say more
	hash   uint64 // of test.Text
}

// segmentPlan is what a scan needs of one segment.
type segmentPlan struct {
	*segment
	t       *segmentTables
	columns int // numbers given
	nodes   int
}

func newSegmentPlan(s *segment) *segmentPlan { return &segmentPlan{segment: s, t: s.load()} }

// compile puts a condition in the terms of the segment.
func (p *segmentPlan) compile(c *Cond) *scanNode {
	if n := p.compileSeries(c); n != nil {
		return n
	}
	switch c.Op {
	case CondAnd:
		n := &scanNode{op: scanAnd}
		// Fields that series have in common are one table together.
		same := &Cond{Op: CondAnd}
		for _, of := range c.Of {
			if of.inSeries() {
				same.Of = append(same.Of, of)
			}
		}
		if len(same.Of) > 0 {
			n.of = append(n.of, p.compileSeries(same))
		}
		for _, of := range c.Of {
			if !of.inSeries() {
				n.of = append(n.of, p.compile(of))
			}
		}
		n.of = slices.DeleteFunc(n.of, func(of *scanNode) bool { return of.op == scanAll })
		if slices.ContainsFunc(n.of, func(of *scanNode) bool { return of.op == scanNone }) {
			return noneNode
		}
		switch len(n.of) {
		case 0:
			return allNode
		case 1:
			return n.of[0]
		}
		slices.SortStableFunc(n.of, func(a, b *scanNode) int { return a.cost() - b.cost() })
		return n
	case CondOr:
		n := &scanNode{op: scanOr}
		for _, of := range c.Of {
			switch k := p.compile(of); k.op {
			case scanAll:
				return k
			case scanNone:
			default:
				n.of = append(n.of, k)
			}
		}
		switch len(n.of) {
		case 0:
			return noneNode
		case 1:
			return n.of[0]
		}
		return n
	case CondNot:
		switch n := p.compile(c.Of[0]); n.op {
		case scanAll:
			return noneNode
		case scanNone:
			return allNode
		default:
			return &scanNode{op: scanNot, of: []*scanNode{n}}
		}
	}
	n := p.compileTest(&c.Ref, c.Test)
	if !c.Test.Missing || n.op == scanAll {
		return n
	}
	has := p.compileTest(&c.Ref, &Test{Match: func(span.Value) bool { return true }})
	switch has.op {
	case scanAll:
		return n
	case scanNone:
		return allNode
	}
	return &scanNode{op: scanOr, of: []*scanNode{n, {op: scanNot, of: []*scanNode{has}}}}
}

// cost orders conditions of which all must hold.
func (n *scanNode) cost() int {
	cost := int(n.op)
	for _, of := range n.of {
		cost = max(cost, of.cost())
	}
	for _, c := range n.columns {
		if c.ref.enc == encPages && (c.test == nil || c.test.Text == nil) {
			cost += 100
		}
	}
	return cost
}

// inSeries says whether a condition is the same for all spans of a series.
func (c *Cond) inSeries() bool {
	same := true
	c.refs(func(r *FieldRef) { same = same && r.ofSeries() })
	return same
}

// compileSeries makes a table of a condition that series decide, else nil.
func (p *segmentPlan) compileSeries(c *Cond) *scanNode {
	if !c.inSeries() {
		return nil
	}
	lut := make([]uint8, len(p.t.series))
	some, all := false, true
	names, memo := p.table(p.foot.names), map[seriesKey]maybe{}
	for i := range p.t.series {
		s := p.t.series[i]
		k := seriesKey{s.resource, s.scope, s.name, s.kind, s.status}
		m, ok := memo[k]
		if !ok {
			m = c.ofSeries(func(r *FieldRef) (span.Value, bool) {
				switch r.Field {
				case SpanName:
					return span.String(unsafeString(names.at(uint64(s.name)))), true
				case SpanKind:
					return span.Int(int64(s.kind)), true
				case SpanStatus:
					return span.Int(int64(s.status)), true
				}
				return r.common("", 0, 0, p.resource(p.t, s.resource), p.scope(p.t, s.scope))
			})
			memo[k] = m
		}
		if m == always {
			lut[i], some = 1, true
		} else {
			all = false
		}
	}
	switch {
	case all:
		return allNode
	case !some:
		return noneNode
	}
	return &scanNode{op: scanSeries, lut: lut}
}

// seriesKey is a series without its shape and flags.
type seriesKey struct {
	resource, scope, name uint32
	kind, status          int32
}

func (p *segmentPlan) compileTest(r *FieldRef, test *Test) *scanNode {
	switch r.Field {
	case SpanAttribute:
		return p.compileColumns(ScopeSpan, r.Key, 0, test)
	case EventAttribute:
		return p.compileChildren(1, ScopeEvent, r.Key, test)
	case LinkAttribute:
		return p.compileChildren(2, ScopeLink, r.Key, test)
	case EventName:
		return p.compileChildren(1, ScopeEventField, fieldName, test)
	case StatusMessage:
		n := p.compileColumns(ScopeSpanField, fieldStatusMessage, 0, test)
		if !test.Match(span.String("")) {
			return n
		}
		has := p.compileColumns(ScopeSpanField, fieldStatusMessage, 0, &Test{Match: func(span.Value) bool { return true }})
		if has.op == scanNone {
			return allNode
		}
		return &scanNode{op: scanOr, of: []*scanNode{n, {op: scanNot, of: []*scanNode{has}}}}
	case SpanDuration:
		n := &scanNode{op: scanDuration, hi: math.MaxInt64}
		if test.Range == nil {
			break
		}
		if test.Range[1] < test.Range[0] || test.Range[1] < 0 {
			return noneNode
		}
		n.lo, n.hi = uint64(max(0, test.Range[0])), uint64(test.Range[1])
		if n.lo > p.foot.duration.max || n.hi < p.foot.duration.min {
			return noneNode
		}
		return n
	case SpanRoot:
		yes, no := test.Match(span.Bool(true)), test.Match(span.Bool(false))
		switch {
		case yes && no:
			return allNode
		case yes:
			return &scanNode{op: scanRoots}
		case no:
			return &scanNode{op: scanNot, of: []*scanNode{{op: scanRoots}}}
		}
		return noneNode
	}
	if r.Field == SpanDuration {
		c := &columnRef{columnKey: columnKey{typ: span.TypeBool}, enc: encNumbers, n: p.foot.rows, values: p.foot.duration}
		col := p.column(c, nil)
		col.match = func(v uint64) bool { return test.Match(span.Int(int64(v))) }
		return &scanNode{op: scanColumns, columns: []*scanColumn{col}}
	}
	return noneNode
}

// column makes a column of a plan.
func (p *segmentPlan) column(ref *columnRef, has []uint8) *scanColumn {
	p.columns++
	return &scanColumn{ref: ref, has: has, number: p.columns - 1}
}

// hasColumn says by series, or by shape, which rows have a column.
func (p *segmentPlan) hasColumn(i int, table int) []uint8 {
	shapes := make([]uint8, len(p.t.shapes))
	for j, shape := range p.t.shapes {
		if slices.Contains(shape, uint32(i)) {
			shapes[j] = 1
		}
	}
	if table > 0 {
		return shapes
	}
	has := make([]uint8, len(p.t.series))
	for j := range p.t.series {
		has[j] = shapes[p.t.series[j].shape]
	}
	return has
}

// compileColumns looks for the values of a key in the columns of its types, and
// among the attributes without a column where a row has none of them.
func (p *segmentPlan) compileColumns(scope Scope, key string, table int, test *Test) *scanNode {
	n := &scanNode{op: scanColumns, table: table}
	var taken []uint8
	for i := range p.foot.columns {
		ref := &p.foot.columns[i]
		if ref.scope != scope || ref.key != key {
			continue
		}
		has := p.hasColumn(i, table)
		if taken == nil {
			taken = make([]uint8, len(has))
		}
		for j, h := range has {
			taken[j] |= h
		}
		if c := p.column(ref, has); p.want(c, test) {
			n.columns = append(n.columns, c)
		}
	}
	if scope <= ScopeLink {
		for i := range p.foot.columns {
			ref := &p.foot.columns[i]
			if ref.scope != scope+ScopeSpanField || ref.key != fieldRest {
				continue
			}
			c := p.column(ref, p.hasColumn(i, table))
			if taken != nil {
				c.use = make([]uint8, len(taken))
				for j := range taken {
					c.use[j] = 1 - taken[j]
				}
			}
			c.text = func(text []byte) bool {
				v, ok := span.Get(appendRest(nil, unsafeString(text)), key)
				return ok && test.Match(v)
			}
			if p.wantTexts(c) {
				n.columns = append(n.columns, c)
			}
		}
	}
	if len(n.columns) == 0 {
		return noneNode
	}
	return n
}

// compileChildren looks at events or links.
func (p *segmentPlan) compileChildren(table int, scope Scope, key string, test *Test) *scanNode {
	n := p.compileColumns(scope, key, table, test)
	if n.op == scanNone {
		return n
	}
	n.op, n.number = scanChildren, p.nodes
	p.nodes++
	field := fieldEvents
	if table == 2 {
		field = fieldLinks
	}
	at, ok := p.t.columns[columnKey{ScopeSpanField, field, span.TypeInt}]
	if !ok {
		return noneNode
	}
	n.ends = p.column(&p.foot.columns[at], p.hasColumn(at, 0))
	return n
}

// want prepares a column, and says whether it may have a wanted value.
func (p *segmentPlan) want(c *scanColumn, test *Test) bool {
	ref := c.ref
	switch ref.enc {
	case encNumbers:
		if ref.typ == span.TypeInt && test.Range != nil {
			if test.Range[0] > test.Range[1] {
				return false
			}
			c.lo, c.hi = fromInt(test.Range[0]), fromInt(test.Range[1])
			return ref.n > 0 && c.lo <= ref.values.max && c.hi >= ref.values.min
		}
		typ := ref.typ
		c.match = func(v uint64) bool { return test.Match(numberValue(typ, unorder(typ, v))) }
		if typ == span.TypeBool || typ == span.TypeEmpty {
			c.match = nil
			c.lut = []uint8{0, 0}
			for i := range c.lut {
				if test.Match(numberValue(typ, uint64(i))) {
					c.lut[i] = 1
				}
			}
			return slices.Contains(c.lut, 1)
		}
		return true
	case encFew:
		few := p.packed(ref.few)
		c.lut = make([]uint8, p.room(few.n))
		for i := range few.n {
			if test.Match(numberValue(ref.typ, unorder(ref.typ, few.get(i)))) {
				c.lut[i] = 1
			}
		}
		return slices.Contains(c.lut, 1)
	}
	if ref.typ == span.TypeString {
		c.test = test
		c.text = func(text []byte) bool { return test.Match(span.String(unsafeString(text))) }
		if test.Text != nil {
			c.hash = hashBytes(*test.Text)
			if ref.enc == encTable {
				texts := p.table(ref.texts)
				at := texts.find(*test.Text)
				if at < 0 {
					return false
				}
				c.lut = make([]uint8, p.room(texts.ends.n))
				c.lut[at] = 1
				return true
			}
			return true
		}
	} else {
		typ := ref.typ
		c.text = func(text []byte) bool { return test.Match(textValue(typ, unsafeString(text))) }
	}
	return p.wantTexts(c)
}

// wantTexts tries all strings of a dictionary.
func (p *segmentPlan) wantTexts(c *scanColumn) bool {
	if c.ref.enc != encTable {
		return true
	}
	texts := p.table(c.ref.texts)
	c.lut = make([]uint8, p.room(texts.ends.n))
	some := false
	texts.each(func(i int, text []byte) bool {
		if (c.test == nil || c.test.may(text)) && c.text(text) {
			c.lut[i], some = 1, true
		}
		return true
	})
	return some
}

// room is a count that memory is taken for, which must be one that the file has room
// for: a packed block of 1024 takes 16 bytes at least.
func (s *segment) room(n uint64) uint64 {
	if n > uint64(len(s.data))/dirEntry*blockLen {
		s.fail("table is larger than its file")
	}
	return n
}

// numberValue is the value of a column of numbers.
func numberValue(t span.Type, bits uint64) span.Value {
	if t == span.TypeEmpty {
		return span.Value{}
	}
	return span.FromNum(t, bits)
}
