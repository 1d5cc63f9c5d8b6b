package store

import (
	"bytes"
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// Field is something that a span has, directly or by what belongs to it.
type Field uint8

// The fields of spans.
const (
	SpanAttribute Field = iota // by key, as the next four
	ResourceAttribute
	ScopeAttribute
	EventAttribute // one value for each event that has it
	LinkAttribute  // one value for each link that has it
	SpanName       // string
	SpanKind       // int
	SpanStatus     // int: the code
	StatusMessage  // string, which may be empty
	SpanDuration   // int: nanoseconds
	SpanRoot       // bool: it has no parent's id
	ScopeName      // string
	ScopeVersion   // string
	EventName      // string: one for each event
)

// FieldRef is a field, and the key if it is one of attributes.
type FieldRef struct {
	Field Field
	Key   string
}

// Test says which values of a field are wanted.
type Test struct {
	// Match decides. It is called at the same time by several goroutines, once for
	// each distinct value where values are kept in dictionaries, and with strings
	// that are valid during the call only.
	Match func(span.Value) bool
	// Missing is what holds for spans that have no value at all.
	Missing bool

	// What follows says about Match what makes it faster, and must agree with it.

	Text    *string // of all strings, Match is true for this one only
	Literal string  // Match is true only for strings that contain it
	// Range, if not nil, has the first and the last integer for which Match is
	// true; it is true for all between.
	Range *[2]int64
}

// CondOp is how a [Cond] is made.
type CondOp uint8

// The kinds of conditions.
const (
	CondAll CondOp = iota // holds for every span
	CondAnd
	CondOr
	CondNot
	CondTest
)

// Cond is a condition on one span. The zero value holds for every span.
type Cond struct {
	Op   CondOp
	Of   []*Cond  // of CondAnd, CondOr, and the one of CondNot
	Ref  FieldRef // of CondTest, as is Test
	Test *Test
}

// Fits says whether a span that was read as a whole fulfils the condition.
func (c *Cond) Fits(s *span.Span) bool {
	switch c.Op {
	case CondAnd:
		for _, of := range c.Of {
			if !of.Fits(s) {
				return false
			}
		}
		return true
	case CondOr:
		for _, of := range c.Of {
			if of.Fits(s) {
				return true
			}
		}
		return false
	case CondNot:
		return !c.Of[0].Fits(s)
	case CondTest:
		return c.test(s)
	}
	return true
}

func (c *Cond) test(s *span.Span) bool {
	some, key := false, c.Ref.Key
	switch c.Ref.Field {
	case EventAttribute:
		for i := range s.Events {
			if v, ok := span.Get(s.Events[i].Attributes, key); ok {
				if some = true; c.Test.Match(v) {
					return true
				}
			}
		}
		return !some && c.Test.Missing
	case LinkAttribute:
		for i := range s.Links {
			if v, ok := span.Get(s.Links[i].Attributes, key); ok {
				if some = true; c.Test.Match(v) {
					return true
				}
			}
		}
		return !some && c.Test.Missing
	case EventName:
		for i := range s.Events {
			if some = true; c.Test.Match(span.String(s.Events[i].Name)) {
				return true
			}
		}
		return !some && c.Test.Missing
	}
	if v, ok := c.Ref.of(s); ok {
		return c.Test.Match(v)
	}
	return c.Test.Missing
}

// of is the value of a field of which a span has at most one.
func (r *FieldRef) of(s *span.Span) (span.Value, bool) {
	switch r.Field {
	case SpanAttribute:
		return span.Get(s.Attributes, r.Key)
	case StatusMessage:
		return span.String(s.Status.Message), true
	case SpanDuration:
		return span.Int(int64(s.EndTime - s.StartTime)), true
	case SpanRoot:
		return span.Bool(s.ParentSpanID.IsZero()), true
	}
	return r.common(s.Name, s.Kind, s.Status.Code, s.Resource, s.Scope)
}

// ofSeries says whether all spans of a series have the field in common.
func (r *FieldRef) ofSeries() bool {
	switch r.Field {
	case ResourceAttribute, ScopeAttribute, SpanName, SpanKind, SpanStatus, ScopeName, ScopeVersion:
		return true
	}
	return false
}

// common is the value of a field of which ofSeries is true.
func (r *FieldRef) common(name string, kind span.Kind, status span.StatusCode, resource *span.Resource, scope *span.Scope) (span.Value, bool) {
	switch r.Field {
	case SpanName:
		return span.String(name), true
	case SpanKind:
		return span.Int(int64(kind)), true
	case SpanStatus:
		return span.Int(int64(status)), true
	case ResourceAttribute:
		return span.Get(resource.Attributes, r.Key)
	case ScopeAttribute:
		return span.Get(scope.Attributes, r.Key)
	case ScopeName:
		return span.String(scope.Name), true
	case ScopeVersion:
		return span.String(scope.Version), true
	}
	return span.Value{}, false
}

// maybe is what is known of a condition when only the series of a span is.
type maybe uint8

const (
	never maybe = iota
	perhaps
	always
)

func toMaybe(b bool) maybe {
	if b {
		return always
	}
	return never
}

// ofSeries says what a condition is for the spans of a series; value gives the
// values of fields that they have in common.
func (c *Cond) ofSeries(value func(*FieldRef) (span.Value, bool)) maybe {
	switch c.Op {
	case CondAnd:
		all := always
		for _, of := range c.Of {
			all = min(all, of.ofSeries(value))
		}
		return all
	case CondOr:
		some := never
		for _, of := range c.Of {
			some = max(some, of.ofSeries(value))
		}
		return some
	case CondNot:
		return always - c.Of[0].ofSeries(value)
	case CondTest:
		if !c.Ref.ofSeries() {
			return perhaps
		}
		if v, ok := value(&c.Ref); ok {
			return toMaybe(c.Test.Match(v))
		}
		return toMaybe(c.Test.Missing)
	}
	return always
}

// refs calls f with every field that a condition looks at.
func (c *Cond) refs(f func(*FieldRef)) {
	if c.Op == CondTest {
		f(&c.Ref)
	}
	for _, of := range c.Of {
		of.refs(f)
	}
}

// Relation is what one span is to another of its trace.
type Relation uint8

// The relations of a span on the right to one on the left.
const (
	Anyhow Relation = iota // no relation is asked for
	ChildOf
	DescendantOf
	ParentOf
	AncestorOf
)

// Select says which traces are looked at: those that have a span for which Right
// holds and, unless Left is nil, one for which Left holds to which it has the
// relation; and of which all of And may be said, or any of Or.
type Select struct {
	Right, Left *Cond
	Relation    Relation
	And, Or     []*Select // only one of them, and then Right is nil
}

// drivers returns a condition that a span of every selected trace fulfils.
func (s *Select) driver() *Cond {
	switch {
	case len(s.And) > 0:
		// All of them would do. The last is as good as any.
		return s.And[len(s.And)-1].driver()
	case len(s.Or) > 0:
		c := &Cond{Op: CondOr}
		for _, of := range s.Or {
			c.Of = append(c.Of, of.driver())
		}
		return c
	case s.Right != nil:
		return s.Right
	}
	return &Cond{}
}

// Projection says which parts of spans are read besides ids, times, name, kind,
// status code, resource and scope.
type Projection struct {
	Attributes    []string // keys of the attributes of spans
	AllAttributes bool     // of spans
	StatusMessage bool
	TraceState    bool
	Everything    bool // events and links too
}

// clone is a copy that need may be called on.
func (p *Projection) clone() Projection {
	out := *p
	out.Attributes = slices.Clip(p.Attributes)
	return out
}

// need adds a field.
func (p *Projection) need(r *FieldRef) {
	switch r.Field {
	case SpanAttribute:
		if !slices.Contains(p.Attributes, r.Key) {
			p.Attributes = append(p.Attributes, r.Key)
		}
	case StatusMessage:
		p.StatusMessage = true
	case EventAttribute, EventName, LinkAttribute:
		p.Everything = true
	}
}

// may says whether a string with these bytes may be wanted, as far as that is
// seen without calling Match.
func (t *Test) may(text []byte) bool {
	if t.Text != nil {
		return string(text) == *t.Text
	}
	return t.Literal == "" || bytes.Contains(text, unsafeBytes(t.Literal))
}
