package traceql

// tree is the structure of one trace. It holds what a walk from the roots reaches;
// what hangs on a span that has not arrived, or in a cycle, has no nested set
// numbers (0) and stands in no relation, as in Tempo.
type tree struct {
	parent      []int32 // NoParent, MissingParent or a span
	children    []int32 // how many
	left, right []int32 // nested set numbers from 1
	order       []int32 // what the walk reaches, parents before their children
	firstChild  []int32
	nextSibling []int32
	stack       []int32
}

// tree builds the structure when it is first asked for.
func (e *Evaluator) tree() *tree {
	t := &e.structure
	if !e.hasTree {
		e.hasTree = true
		t.build(e.trace, e.n)
	}
	return t
}

func (t *tree) build(trace Trace, n int) {
	t.parent, t.children = resize(t.parent, n), resize(t.children, n)
	t.left, t.right = resize(t.left, n), resize(t.right, n)
	t.firstChild, t.nextSibling = resize(t.firstChild, n), resize(t.nextSibling, n)
	t.order = t.order[:0]
	for i := range n {
		t.parent[i] = int32(trace.Parent(i))
		t.firstChild[i], t.nextSibling[i] = -1, -1
	}
	// Backwards, so that the lists of children are in the order of the spans.
	for i := n - 1; i >= 0; i-- {
		if p := t.parent[i]; p >= 0 {
			t.children[p]++
			t.nextSibling[i] = t.firstChild[p]
			t.firstChild[p] = int32(i)
		}
	}
	number := int32(0)
	for i := range n {
		if t.parent[i] == NoParent {
			number = t.walk(int32(i), number)
		}
	}
}

// walk numbers a span and what is below it, from the number behind the given one,
// and returns the last that it gave.
func (t *tree) walk(root, number int32) int32 {
	t.stack = append(t.stack[:0], root)
	for len(t.stack) > 0 {
		i := t.stack[len(t.stack)-1]
		if i < 0 { // all below ^i have been visited
			t.stack = t.stack[:len(t.stack)-1]
			number++
			t.right[^i] = number
			continue
		}
		t.order = append(t.order, i)
		number++
		t.left[i] = number
		t.stack[len(t.stack)-1] = ^i
		mark := len(t.stack)
		for c := t.firstChild[i]; c >= 0; c = t.nextSibling[c] {
			t.stack = append(t.stack, c)
		}
		for a, b := mark, len(t.stack)-1; a < b; a, b = a+1, b-1 {
			t.stack[a], t.stack[b] = t.stack[b], t.stack[a]
		}
	}
	return number
}

// reached reports whether the walk came to a span.
func (t *tree) reached(i int32) bool { return t.left[i] != 0 }

// nestedSetParent is the left number of the parent, -1 for a root.
func (t *tree) nestedSetParent(i int) int32 {
	switch p := t.parent[i]; {
	case p == NoParent:
		return -1
	case p >= 0:
		return t.left[p]
	}
	return 0
}

// resize gives a slice of n zeros, reusing s.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// related marks the spans, at least those of set, that stand in the relation to one
// of marked.
func (t *tree) related(rel Relation, marked []bool, set []int32, e *Evaluator) []bool {
	n := len(t.parent)
	out := resize(e.marks, n)
	e.marks = out
	switch rel {
	case Child:
		for _, i := range set {
			p := t.parent[i]
			out[i] = p >= 0 && marked[p] && t.reached(i)
		}
	case Parent:
		for i, m := range marked {
			if p := t.parent[i]; m && p >= 0 && t.reached(p) {
				out[p] = true
			}
		}
	case Descendant:
		for _, i := range t.order {
			p := t.parent[i]
			out[i] = p >= 0 && (marked[p] || out[p])
		}
	case Ancestor:
		for k := len(t.order) - 1; k >= 0; k-- {
			i := t.order[k]
			if p := t.parent[i]; p >= 0 && (marked[i] || out[i]) {
				out[p] = true
			}
		}
	case Sibling:
		e.counts = resize(e.counts, n)
		for i, m := range marked {
			if p := t.parent[i]; m && p >= 0 {
				e.counts[p]++
			}
		}
		for _, i := range set {
			if p := t.parent[i]; p >= 0 && t.reached(p) {
				others := e.counts[p]
				if marked[i] {
					others--
				}
				out[i] = others > 0
			}
		}
	}
	return out
}

// inverse is the relation that the left side stands in to the right.
func (r Relation) inverse() Relation {
	return [...]Relation{Child: Parent, Descendant: Ancestor, Parent: Child, Ancestor: Descendant, Sibling: Sibling}[r]
}
