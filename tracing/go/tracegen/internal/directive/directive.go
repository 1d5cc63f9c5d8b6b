// Package directive parses the //trace: comments that steer tracegen.
//
// A directive is one line of a doc comment: "//trace:" without a space, a
// verb, and the verb's argument. Parse says of any comment whether it is a
// directive, a comment that was surely meant to be one, or neither; the second
// is an error, since a directive that is passed over in silence leaves a span
// out without anybody noticing.
//
// The package knows the form of a directive. What an expression in it means is
// the business of package gen.
package directive

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Verb is the word after "//trace:".
type Verb string

// The verbs.
const (
	// Skip leaves a method untraced: it is delegated. It has no argument.
	Skip Verb = "skip"
	// Name sets the span's name; on an interface, the part before the dot.
	Name Verb = "name"
	// Attr sets a span attribute: key=expression.
	Attr Verb = "attr"
	// Kind sets the span kind: internal, server, client, producer or consumer.
	Kind Verb = "kind"
	// IgnoreError names errors that are no failure: a boolean expression.
	IgnoreError Verb = "ignore-error"
)

var verbs = []Verb{Skip, Name, Attr, Kind, IgnoreError}

// Kinds are the arguments that Kind accepts.
var Kinds = []string{"internal", "server", "client", "producer", "consumer"}

// Prefix starts every directive.
const Prefix = "//trace:"

// Directive is one parsed directive.
type Directive struct {
	Verb Verb
	// Key is the attribute's key; empty but for Attr.
	Key string
	// Arg is the name without its quotes, the kind, or the expression as
	// written; empty for Skip.
	Arg string
	// ArgOffset is where Arg, or the quote before it, starts in the comment,
	// in bytes.
	ArgOffset int
}

// String returns the directive as a comment that Parse accepts.
func (d Directive) String() string {
	switch d.Verb {
	case Skip:
		return Prefix + string(Skip)
	case Attr:
		return fmt.Sprintf("%s%s %s=%s", Prefix, d.Verb, d.Key, d.Arg)
	case Name:
		return fmt.Sprintf("%s%s %s", Prefix, d.Verb, strconv.Quote(d.Arg))
	}
	return fmt.Sprintf("%s%s %s", Prefix, d.Verb, d.Arg)
}

// Error is what is wrong with a directive.
type Error struct {
	// Offset is where in the comment, in bytes.
	Offset int
	Msg    string
}

func (e *Error) Error() string { return e.Msg }

// Parse parses one comment, its "//" included. It returns nil and no error for
// a comment that is not a directive. The error is always an *Error.
func Parse(comment string) (*Directive, error) {
	rest, ok := strings.CutPrefix(comment, Prefix)
	if !ok {
		if fixed := misspelt(comment); fixed != "" {
			return nil, &Error{0, fmt.Sprintf("this comment is not a directive: write %s", fixed)}
		}
		return nil, nil
	}

	word, arg := rest, ""
	if i := strings.IndexFunc(rest, unicode.IsSpace); i >= 0 {
		word, arg = rest[:i], rest[i:]
	}
	if word == "" {
		return nil, &Error{len(Prefix), "missing verb after " + Prefix}
	}
	d := &Directive{Verb: Verb(word), ArgOffset: len(Prefix) + len(word) + leadingSpace(arg)}
	arg = strings.TrimSpace(arg)
	if d.Verb != Skip && arg == "" && known(d.Verb) {
		return nil, &Error{len(comment), fmt.Sprintf("%s%s needs %s", Prefix, word, need[d.Verb])}
	}

	switch d.Verb {
	case Skip:
		if arg != "" {
			return nil, &Error{d.ArgOffset, Prefix + "skip takes no argument"}
		}
		d.ArgOffset = len(comment)
		return d, nil
	case Name:
		return d, d.parseName(arg)
	case Attr:
		return d, d.parseAttr(arg)
	case Kind:
		return d, d.parseKind(arg)
	case IgnoreError:
		d.Arg = arg
		return d, nil
	}
	msg := fmt.Sprintf("unknown directive %s%s", Prefix, word)
	if v := nearest(word, verbStrings()); v != "" {
		msg += fmt.Sprintf(" (did you mean %s%s?)", Prefix, v)
	}
	return nil, &Error{0, msg}
}

var need = map[Verb]string{
	Name:        "a span name",
	Attr:        "key=expression",
	Kind:        "one of " + strings.Join(Kinds, ", "),
	IgnoreError: "a boolean expression, such as errors.Is(err, ErrNotFound)",
}

func (d *Directive) parseName(arg string) error {
	d.Arg = arg
	if arg[0] == '"' || arg[0] == '`' {
		name, err := strconv.Unquote(arg)
		if err != nil {
			return &Error{d.ArgOffset, fmt.Sprintf("span name %s is not a quoted Go string", arg)}
		}
		d.Arg = name
	}
	if strings.TrimSpace(d.Arg) == "" {
		return &Error{d.ArgOffset, "span name is empty"}
	}
	if !utf8.ValidString(d.Arg) || strings.ContainsFunc(d.Arg, unicode.IsControl) {
		return &Error{d.ArgOffset, fmt.Sprintf("span name %q has characters that cannot be shown", d.Arg)}
	}
	return nil
}

func (d *Directive) parseAttr(arg string) error {
	key, expr, ok := strings.Cut(arg, "=")
	if !ok {
		return &Error{d.ArgOffset, fmt.Sprintf("%q is not of the form key=expression", arg)}
	}
	keyOffset := d.ArgOffset
	d.ArgOffset += len(key) + 1 + leadingSpace(expr)
	d.Key, d.Arg = strings.TrimSpace(key), strings.TrimSpace(expr)
	if d.Key == "" {
		return &Error{keyOffset, "attribute key is empty"}
	}
	if i := strings.IndexFunc(d.Key, func(r rune) bool { return !keyRune(r) }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(d.Key[i:])
		return &Error{keyOffset + i, fmt.Sprintf("attribute key %q contains %q", d.Key, r)}
	}
	if d.Arg == "" {
		return &Error{d.ArgOffset, fmt.Sprintf("attribute %q has no expression", d.Key)}
	}
	return nil
}

// keyRune reports whether r may be part of an attribute key: what the semantic
// conventions use, and the few more that people do.
func keyRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-/:", r)
}

func (d *Directive) parseKind(arg string) error {
	d.Arg = arg
	for _, k := range Kinds {
		if arg == k {
			return nil
		}
	}
	msg := fmt.Sprintf("unknown span kind %q", arg)
	if k := nearest(arg, Kinds); k != "" {
		return &Error{d.ArgOffset, msg + fmt.Sprintf(" (did you mean %s?)", k)}
	}
	return &Error{d.ArgOffset, msg + ": want " + strings.Join(Kinds, ", ")}
}

// misspelt returns the directive that a comment was surely meant to be: one
// with a space before "trace:", or with the word trace misspelt before a verb
// that is not.
func misspelt(comment string) string {
	body, ok := strings.CutPrefix(comment, "//")
	if !ok {
		body, ok = strings.CutPrefix(comment, "/*")
		if !ok {
			return ""
		}
		body = strings.TrimSuffix(body, "*/")
	}
	word, rest, ok := strings.Cut(strings.TrimSpace(body), ":")
	if !ok || !strings.EqualFold(word, "trace") && !strings.EqualFold(word, "tracegen") &&
		(body != strings.TrimSpace(body) || distance(word, "trace") > 2) {
		return ""
	}
	verb := rest
	if i := strings.IndexFunc(rest, unicode.IsSpace); i >= 0 {
		verb = rest[:i]
	}
	if v := Verb(strings.ToLower(verb)); known(v) {
		return Prefix + string(v)
	}
	return ""
}

func known(v Verb) bool {
	for _, k := range verbs {
		if v == k {
			return true
		}
	}
	return false
}

func verbStrings() []string {
	s := make([]string, len(verbs))
	for i, v := range verbs {
		s[i] = string(v)
	}
	return s
}

func leadingSpace(s string) int { return len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace)) }

// nearest returns the candidate that word is a slip of, or "".
func nearest(word string, candidates []string) string {
	best, at := "", len(word)/2+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), c); d < at {
			best, at = c, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, substitutions and swaps of
// neighbours that turn a into b. Long words are simply far.
func distance(a, b string) int {
	if len(a) > 32 || len(b) > 32 {
		return 32
	}
	var older, prev, row [33]int
	for j := range len(b) {
		prev[j+1] = j + 1
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, prev[j+1]+1, prev[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
		older, prev = prev, row
	}
	return prev[len(b)]
}
