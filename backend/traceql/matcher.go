package traceql

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// maxPattern is the longest regular expression in bytes.
const maxPattern = 16 << 10

// Matcher is a regular expression that must match the whole of a text. Its time
// is linear in the text, as RE2's.
type Matcher struct {
	re  *regexp.Regexp
	dfa *dfa // of texts in ASCII; nil when it would be large
	// literals, unless nil, are all texts that match: a pattern of alternatives
	// without operators is not run as one.
	literals []string
	// prefix and contains are necessary for a match, and quicker to look for.
	prefix   string
	contains string
	// whole says that contains is sufficient too: the pattern is .*literal.*
	whole bool
}

// NewMatcher compiles a pattern in the syntax of Go's regexp. A dot matches line
// ends too.
func NewMatcher(pattern string) (*Matcher, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("regular expression of %d bytes, the limit is %d", len(pattern), maxPattern)
	}
	anchored := "^(?s:" + pattern + ")$"
	re, err := regexp.Compile(anchored)
	if err != nil {
		// The same error without our brackets, whose place and text confuse.
		if _, plain := syntax.Parse(pattern, syntax.Perl); plain != nil {
			err = plain
		}
		return nil, err
	}
	m := &Matcher{re: re}
	if tree, err := syntax.Parse(pattern, syntax.Perl|syntax.DotNL); err == nil {
		tree = tree.Simplify()
		if m.study(tree); m.literals == nil && !m.whole {
			m.dfa = newDFA(tree)
		}
	}
	return m, nil
}

// MatchString reports whether the whole of s matches.
func (m *Matcher) MatchString(s string) bool {
	if m.literals != nil {
		for _, l := range m.literals {
			if s == l {
				return true
			}
		}
		return false
	}
	if !strings.HasPrefix(s, m.prefix) || !strings.Contains(s, m.contains) {
		return false
	}
	if m.whole {
		return true
	}
	if m.dfa != nil {
		if matches, ok := m.dfa.match(s); ok {
			return matches
		}
	}
	return m.re.MatchString(s)
}

// Literals is all texts that match, if they can be listed, else nil.
func (m *Matcher) Literals() []string { return m.literals }

// Prefix is what every matching text begins with, perhaps nothing.
func (m *Matcher) Prefix() string { return m.prefix }

// Contains is what every matching text contains, perhaps nothing.
func (m *Matcher) Contains() string { return m.contains }

// study finds what can be said of every match. Case folding is left to the pattern.
func (m *Matcher) study(tree *syntax.Regexp) {
	m.literals = literals(tree, maxLiterals)
	if m.literals != nil {
		return
	}
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	for i, part := range parts {
		if part.Op != syntax.OpLiteral || part.Flags&syntax.FoldCase != 0 {
			continue
		}
		text := string(part.Rune)
		if i == 0 {
			m.prefix = text
		}
		if len(text) > len(m.contains) {
			m.contains = text
		}
	}
	m.whole = len(parts) == 3 && anything(parts[0]) && anything(parts[2]) && m.contains != ""
}

func anything(r *syntax.Regexp) bool {
	return r.Op == syntax.OpStar && r.Sub[0].Op == syntax.OpAnyChar
}

// maxLiterals is where a list of alternatives is slower than the automaton.
const maxLiterals = 32

// literals lists the texts that an expression matches, nil if there are more than most.
func literals(r *syntax.Regexp, most int) []string {
	switch r.Op {
	case syntax.OpEmptyMatch:
		return []string{""}
	case syntax.OpLiteral:
		if r.Flags&syntax.FoldCase == 0 {
			return []string{string(r.Rune)}
		}
	case syntax.OpCapture:
		return literals(r.Sub[0], most)
	case syntax.OpCharClass:
		var out []string
		for i := 0; i < len(r.Rune); i += 2 {
			for c := r.Rune[i]; c <= r.Rune[i+1]; c++ {
				if out = append(out, string(c)); len(out) > most {
					return nil
				}
			}
		}
		return out
	case syntax.OpAlternate:
		var out []string
		for _, sub := range r.Sub {
			l := literals(sub, most)
			if l == nil || len(out)+len(l) > most {
				return nil
			}
			out = append(out, l...)
		}
		return out
	case syntax.OpQuest:
		if l := literals(r.Sub[0], most-1); l != nil {
			return append(l, "")
		}
	case syntax.OpConcat:
		out := []string{""}
		for _, sub := range r.Sub {
			l := literals(sub, most)
			if l == nil || len(out)*len(l) > most {
				return nil
			}
			var joined []string
			for _, a := range out {
				for _, b := range l {
					joined = append(joined, a+b)
				}
			}
			out = joined
		}
		return out
	}
	return nil
}
