package terminal

import (
	"github.com/throughline/throughline/backend/span"
)

// place says where a span stands that names a parent and is not below it.
type place int

const (
	below  place = iota // its parent, or it is a root
	orphan              // its parent has not arrived
	cycle               // its parent is below it
)

// node is a span in the tree of its trace.
type node struct {
	span     *span.Span
	parent   int // -1: none
	children []int
	depth    int
	last     bool // of its siblings
	place    place
}

// Rows are the spans of a trace in the order of a tree: parents before their
// children, and these by start.
type tree struct {
	nodes []node // as the trace's spans
	order []int
}

// newTree arranges the spans of a trace, which are by start time. An orphan is a
// root, and so is the earliest span of a cycle of parents.
func newTree(t *span.Trace) *tree {
	tr := &tree{nodes: make([]node, len(t.Spans)), order: make([]int, 0, len(t.Spans))}
	at := make(map[span.SpanID]int, len(t.Spans))
	for i := range t.Spans {
		at[t.Spans[i].SpanID] = i
	}
	for i := range t.Spans {
		n := &tr.nodes[i]
		n.span, n.parent = &t.Spans[i], -1
		if id := n.span.ParentSpanID; !id.IsZero() {
			if p, ok := at[id]; ok {
				n.parent = p
			} else {
				n.place = orphan
			}
		}
	}
	tr.cut()
	var roots []int
	for i := range tr.nodes {
		if p := tr.nodes[i].parent; p >= 0 {
			tr.nodes[p].children = append(tr.nodes[p].children, i)
		} else {
			roots = append(roots, i)
		}
	}
	stack := make([]int, 0, len(roots))
	push := func(list []int, depth int) {
		for k := len(list) - 1; k >= 0; k-- {
			n := &tr.nodes[list[k]]
			n.depth, n.last = depth, k == len(list)-1
			stack = append(stack, list[k])
		}
	}
	push(roots, 0)
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		tr.order = append(tr.order, i)
		push(tr.nodes[i].children, tr.nodes[i].depth+1)
	}
	return tr
}

// cut makes the earliest span of each cycle a root.
func (tr *tree) cut() {
	const (
		unseen = iota
		onPath
		done
	)
	state := make([]uint8, len(tr.nodes))
	var path []int
	for i := range tr.nodes {
		path = path[:0]
		j := i
		for j >= 0 && state[j] == unseen {
			state[j] = onPath
			path = append(path, j)
			j = tr.nodes[j].parent
		}
		if j >= 0 && state[j] == onPath {
			first := j // by start, as the indices are
			for k := tr.nodes[j].parent; k != j; k = tr.nodes[k].parent {
				first = min(first, k)
			}
			tr.nodes[first].parent, tr.nodes[first].place = -1, cycle
		}
		for _, k := range path {
			state[k] = done
		}
	}
}

// maxIndent bounds the levels that are drawn; deeper ones are told by a number.
const maxIndent = 12

// indent draws the lines from a span's ancestors to it. For a root there are none.
func (tr *tree) indent(i int) string {
	n := &tr.nodes[i]
	if n.depth == 0 {
		return ""
	}
	text := "├─"
	if n.last {
		text = "└─"
	}
	levels := 1
	for p := n.parent; p >= 0 && tr.nodes[p].depth > 0; p = tr.nodes[p].parent {
		if levels++; levels > maxIndent {
			break
		}
		if tr.nodes[p].last {
			text = "  " + text
		} else {
			text = "│ " + text
		}
	}
	return text
}
