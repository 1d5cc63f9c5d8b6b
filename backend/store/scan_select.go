package store

import (
	"slices"
)

// selectPlan is a Select in the terms of one segment.
type selectPlan struct {
	right, left *scanNode
	sets        [2]int // where their results are kept
	relation    Relation
	and, or     []*selectPlan
}

func (p *tracePlan) selection(s *Select) *selectPlan {
	out := &selectPlan{relation: s.Relation, sets: [2]int{p.sets, p.sets + 1}}
	p.sets += 2
	switch {
	case len(s.And) > 0:
		for _, of := range s.And {
			out.and = append(out.and, p.selection(of))
		}
	case len(s.Or) > 0:
		for _, of := range s.Or {
			out.or = append(out.or, p.selection(of))
		}
	default:
		out.right = allNode
		if s.Right != nil {
			out.right = p.plan.compile(s.Right)
		}
		if s.Left != nil {
			out.left = p.plan.compile(s.Left)
		}
	}
	return out
}

// possible says whether a trace of this segment alone may be selected.
func (s *selectPlan) possible() bool {
	not := func(of *selectPlan) bool { return !of.possible() }
	switch {
	case s.and != nil:
		return !slices.ContainsFunc(s.and, not)
	case s.or != nil:
		return slices.ContainsFunc(s.or, (*selectPlan).possible)
	}
	return s.right.op != scanNone && (s.left == nil || s.left.op != scanNone)
}

// keptSet is the rows of a block that fit.
type keptSet struct {
	block int // and 1
	set   rowSet
}

// selects says whether a trace whose spans are all in these rows is selected.
func (s *traceBlocks) selects(p *selectPlan, from, to uint64) bool {
	switch {
	case p.and != nil:
		for _, of := range p.and {
			if !s.selects(of, from, to) {
				return false
			}
		}
		return true
	case p.or != nil:
		for _, of := range p.or {
			if s.selects(of, from, to) {
				return true
			}
		}
		return false
	}
	if p.left == nil {
		return s.anyRow(p.right, p.sets[0], from, to)
	}
	if p.relation == Anyhow {
		return s.anyRow(p.right, p.sets[0], from, to) && s.anyRow(p.left, p.sets[1], from, to)
	}
	// One of the two is below the other.
	low, high, lowSet, highSet := p.right, p.left, p.sets[0], p.sets[1]
	if p.relation == ParentOf || p.relation == AncestorOf {
		low, high, lowSet, highSet = high, low, highSet, lowSet
	}
	if !s.anyRow(high, highSet, from, to) {
		return false
	}
	parents := s.packed(s.foot.parent)
	near := p.relation == ChildOf || p.relation == ParentOf
	// What is known of rows by their place: 0 nothing, 1 that nothing above is high,
	// 2 that it is being looked at. So every row is passed once, however deep the tree.
	s.known = append(s.known[:0], make([]uint8, to-from)...)
	for row := from; row < to; row++ {
		if !s.fits(low, lowSet, row) {
			continue
		}
		s.path = s.path[:0]
		for at := row; s.known[at-from] == 0; {
			if !near {
				s.known[at-from] = 2
				s.path = append(s.path, at-from)
			}
			parent := parents.get(at)
			if parent < 2 {
				break
			}
			if at = from + parent - 2; at >= to {
				s.fail("parent beyond its trace")
			}
			if s.fits(high, highSet, at) {
				return true
			}
			if near {
				break
			}
		}
		for _, k := range s.path {
			s.known[k] = 1
		}
	}
	return false
}

// set returns the rows of a block that fit; four blocks are kept.
func (s *traceBlocks) set(n *scanNode, number, b int) *rowSet {
	k := &s.sets[number][b&3]
	if k.block != b+1 {
		k.set.fill(s.rowsIn(b))
		s.eval(n, b, &k.set)
		k.block = b + 1
	}
	return &k.set
}

func (s *traceBlocks) fits(n *scanNode, number int, row uint64) bool {
	return s.set(n, number, int(row>>blockBits)).has(int(row & (blockLen - 1)))
}

func (s *traceBlocks) anyRow(n *scanNode, number int, from, to uint64) bool {
	for from < to {
		b := from >> blockBits
		if s.set(n, number, int(b)).intersects(int(from&(blockLen-1)), int(min(blockLen, to-b<<blockBits))) {
			return true
		}
		from = (b + 1) << blockBits
	}
	return false
}
