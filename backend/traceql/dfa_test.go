package traceql

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestDFA(t *testing.T) {
	patterns := []string{
		"", "a", "a*", "a+b?", "(a|b)*abb", ".*", "x.*y", "[a-c]+[0-9]{2,3}", "^a$", "a$b", "^", "$", "(^a|b)c", "(a|$)b?", "(?i)aBc", "a.c", "(?-s)a.c",
		"[^a]*", "(a|ab)(c|bcd)", "a{0}", "(a*)*", "\\d+\\.\\d+", "é+", "[é-ü]a", "\\pL+", "/.*[g-i]9", "(?:ab|cd)+?e", "\\bab\\b", "(?m)^a", "a|b|c|", "\\x00+",
	}
	r := rand.New(rand.NewPCG(3, 4))
	built := 0
	for _, p := range patterns {
		m, err := NewMatcher(p)
		if err != nil {
			t.Fatal(err)
		}
		re := regexp.MustCompile("^(?s:" + p + ")$")
		if m.dfa != nil || m.literals != nil || m.whole {
			built++
		}
		for range 3000 {
			var b strings.Builder
			for range r.IntN(8) {
				b.WriteString(pick(r, []string{"a", "b", "c", "ab", "d", "e", "x", "y", "0", "12", ".", "\n", "é", "B", "/", "9", "h", "\x00", "\xff", " "}))
			}
			if s := b.String(); m.MatchString(s) != re.MatchString(s) {
				t.Fatalf("pattern %q, text %q: %v, and regexp says otherwise", p, s, m.MatchString(s))
			}
		}
	}
	if built < len(patterns)-2 {
		t.Errorf("only %d of %d patterns have an automaton", built, len(patterns))
	}
	// What would need 2^30 states is left to package regexp.
	m, err := NewMatcher("(a|b)*a(a|b){30}")
	if err != nil {
		t.Fatal(err)
	}
	if m.dfa != nil || !m.MatchString("b"+strings.Repeat("a", 31)) || m.MatchString(strings.Repeat("b", 40)) {
		t.Error("a pattern of too many states does not match what it says")
	}
}

func FuzzDFA(f *testing.F) {
	f.Add("(a|b)*abb", "aabb")
	f.Add("^a$|b", "b")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 200 {
			return
		}
		m, err := NewMatcher(pattern)
		if err != nil {
			return
		}
		re, err := regexp.Compile("^(?s:" + pattern + ")$")
		if err != nil {
			return
		}
		if m.MatchString(text) != re.MatchString(text) {
			t.Fatalf("pattern %q, text %q: %v, and regexp says otherwise", pattern, text, m.MatchString(text))
		}
	})
}
