package traceql

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
)

// dfa is a deterministic automaton that says whether the whole of an ASCII text
// matches. It is built before the first text, so that goroutines share it without a
// lock, and only if it stays small: a step then takes a nanosecond for each byte,
// where package regexp takes some thirty.
type dfa struct {
	classes [128]uint8 // of bytes that no state tells apart
	n       int        // classes
	next    []uint16   // by state and class; dead has no way out
	accepts []bool     // by state, when the text ends there
}

const (
	dead      = 0
	dfaStart  = 1
	maxStates = 2000
	maxSteps  = 2_000_000 // of building
)

// newDFA builds the automaton of a pattern, nil if it needs too many states or
// asks for more than the beginning and the end of the text.
func newDFA(tree *syntax.Regexp) *dfa {
	prog, err := syntax.Compile(tree)
	if err != nil || len(prog.Inst) > maxStates {
		return nil
	}
	for i := range prog.Inst {
		if in := &prog.Inst[i]; in.Op == syntax.InstEmptyWidth && syntax.EmptyOp(in.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return nil
		}
	}
	b := &dfaBuilder{prog: prog, d: &dfa{}, numbers: map[string]uint16{}, seen: make([]bool, len(prog.Inst))}
	b.classify()
	b.state(nil)                          // dead
	b.state([]uint32{uint32(prog.Start)}) // dfaStart
	steps := 0
	for s := 1; s < len(b.states); s++ {
		flags := syntax.EmptyOp(0)
		if s == dfaStart {
			flags = syntax.EmptyBeginText
		}
		here := b.closure(b.states[s], flags)
		if steps += len(prog.Inst) + len(here)*b.d.n; steps > maxSteps {
			return nil
		}
		for c := range b.d.n {
			var to []uint32
			for _, pc := range here {
				if in := &prog.Inst[pc]; matchesByte(in, b.sample[c]) {
					to = append(to, in.Out)
				}
			}
			slices.Sort(to)
			n, ok := b.state(slices.Compact(to))
			if !ok {
				return nil
			}
			b.d.next[s*b.d.n+c] = n
		}
	}
	for s, pcs := range b.states {
		flags := syntax.EmptyEndText
		if s == dfaStart {
			flags |= syntax.EmptyBeginText
		}
		accepts := slices.ContainsFunc(b.closure(pcs, flags), func(pc uint32) bool { return prog.Inst[pc].Op == syntax.InstMatch })
		b.d.accepts = append(b.d.accepts, accepts)
	}
	return b.d
}

type dfaBuilder struct {
	prog    *syntax.Prog
	d       *dfa
	sample  []byte     // of each class
	states  [][]uint32 // instructions that a state is at, before what takes no byte
	numbers map[string]uint16
	key     []byte
	seen    []bool
}

// classify puts bytes together that every instruction takes or refuses alike.
func (b *dfaBuilder) classify() {
	known := map[string]uint8{}
	for c := range byte(128) {
		key := make([]byte, (len(b.prog.Inst)+7)/8)
		for i := range b.prog.Inst {
			if matchesByte(&b.prog.Inst[i], c) {
				key[i/8] |= 1 << (i % 8)
			}
		}
		n, ok := known[string(key)]
		if !ok {
			n = uint8(len(b.sample))
			known[string(key)] = n
			b.sample = append(b.sample, c)
		}
		b.d.classes[c] = n
	}
	b.d.n = len(b.sample)
}

func matchesByte(in *syntax.Inst, c byte) bool {
	switch in.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return in.MatchRune(rune(c))
	}
	return false
}

// state returns the number of a state, which is made if there is room. The start
// is a state of its own, since nothing else is at the beginning of the text.
func (b *dfaBuilder) state(pcs []uint32) (n uint16, ok bool) {
	b.key = b.key[:0]
	for _, pc := range pcs {
		b.key = binary.LittleEndian.AppendUint32(b.key, pc)
	}
	if n, ok := b.numbers[string(b.key)]; ok {
		return n, true
	}
	if len(b.states) == maxStates {
		return 0, false
	}
	n = uint16(len(b.states))
	if n != dfaStart {
		b.numbers[string(b.key)] = n
	}
	b.states = append(b.states, pcs)
	b.d.next = append(b.d.next, make([]uint16, b.d.n)...)
	return n, true
}

// closure follows what takes no byte.
func (b *dfaBuilder) closure(pcs []uint32, flags syntax.EmptyOp) (out []uint32) {
	clear(b.seen)
	stack := slices.Clone(pcs)
	for len(stack) > 0 {
		pc := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if b.seen[pc] {
			continue
		}
		b.seen[pc] = true
		switch in := &b.prog.Inst[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			stack = append(stack, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			stack = append(stack, in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^flags == 0 {
				stack = append(stack, in.Out)
			}
		case syntax.InstFail:
		default:
			out = append(out, pc)
		}
	}
	return out
}

// match reports whether the whole of s matches; it is not ok for a text that is not
// ASCII.
func (d *dfa) match(s string) (matches, ok bool) {
	state := dfaStart
	for i := range len(s) {
		c := s[i]
		if c >= 128 {
			return false, false
		}
		state = int(d.next[state*d.n+int(d.classes[c])])
		if state == dead {
			return false, true
		}
	}
	return d.accepts[state], true
}
