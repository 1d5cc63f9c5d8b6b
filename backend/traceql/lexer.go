package traceql

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// tokenKind says how a token is to be read.
type tokenKind uint8

const (
	tokenEOF tokenKind = iota
	tokenOperator
	tokenWord      // a keyword, a function, or an intrinsic without scope
	tokenAttribute // with its scope, or an intrinsic with its scope
	tokenLiteral   // a string, number or duration
	tokenBigInt    // 9223372036854775808, an integer only behind a minus
)

type token struct {
	kind      tokenKind
	offset    int
	end       int
	text      string // as in the query
	value     Value
	attribute Attribute
}

// operators, longest first where one begins another.
var operators = []string{
	"&>>", "&<<", "!>>", "!<<",
	"&&", "&>", "&<", "&~", "||", "!=", "!~", "!>", "!<", "=~", "<=", "<<", ">=", ">>",
	"{", "}", "(", ")", ",", "|", "!", "=", "<", ">", "~", "+", "-", "*", "/", "%", "^",
}

// lexer cuts a query into tokens.
type lexer struct {
	text   string
	pos    int
	tokens []token
}

// lex cuts a text into tokens, the last of which is tokenEOF, up to the first fault.
func lex(text string) ([]token, *SyntaxError) {
	l := &lexer{text: text, tokens: make([]token, 0, 2+len(text)/4)}
	for {
		l.space()
		start := l.pos
		if start == len(text) {
			l.add(token{kind: tokenEOF, offset: start})
			return l.tokens, nil
		}
		if err := l.next(); err != nil {
			l.tokens = append(l.tokens, token{kind: tokenEOF, offset: start, end: start})
			return l.tokens, err
		}
	}
}

func (l *lexer) add(t token) {
	t.end = l.pos
	t.text = l.text[t.offset:l.pos]
	l.tokens = append(l.tokens, t)
}

// space skips white space and comments.
func (l *lexer) space() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		if strings.HasPrefix(rest, "//") {
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				l.pos += n
				continue
			}
			l.pos = len(l.text)
			return
		}
		if strings.HasPrefix(rest, "/*") {
			if n := strings.Index(rest, "*/"); n >= 0 {
				l.pos += n + 2
				continue
			}
			return
		}
		r, size := utf8.DecodeRuneInString(rest)
		if !unicode.IsSpace(r) {
			return
		}
		l.pos += size
	}
}

func (l *lexer) next() *SyntaxError {
	rest := l.text[l.pos:]
	c := rest[0]
	switch {
	case c == '"' || c == '`':
		return l.str(c)
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return l.number()
	case c == '.':
		return l.attribute(l.pos, Attribute{})
	case strings.HasPrefix(rest, "/*"):
		return errorAt(l.text, l.pos, []string{`"*/"`}, "comment without end")
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			start := l.pos
			l.pos += len(op)
			l.add(token{kind: tokenOperator, offset: start})
			return nil
		}
	}
	if r, _ := utf8.DecodeRuneInString(rest); r == '_' || unicode.IsLetter(r) {
		return l.word()
	} else if r == utf8.RuneError {
		return errorAt(l.text, l.pos, nil, "byte %#x is not UTF-8", c)
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return errorAt(l.text, l.pos, nil, "unexpected character %q", r)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// word reads an identifier, and what it is the scope of.
func (l *lexer) word() *SyntaxError {
	start := l.pos
	l.identifier()
	word := l.text[start:l.pos]
	if l.pos < len(l.text) {
		switch l.text[l.pos] {
		case '.':
			if a, ok := scopeNamed(word); ok {
				return l.attribute(start, a)
			}
		case ':':
			return l.scopedIntrinsic(start)
		}
	}
	l.add(token{kind: tokenWord, offset: start})
	return nil
}

func (l *lexer) identifier() {
	for l.pos < len(l.text) {
		r, size := utf8.DecodeRuneInString(l.text[l.pos:])
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return
		}
		l.pos += size
	}
}

func scopeNamed(word string) (Attribute, bool) {
	if word == "parent" {
		return Attribute{Parent: true}, true
	}
	for s := ScopeSpan; s <= ScopeInstrumentation; s++ {
		if word == s.String() {
			return Attribute{Scope: s}, true
		}
	}
	return Attribute{}, false
}

func (l *lexer) scopedIntrinsic(start int) *SyntaxError {
	scope := l.text[start : l.pos+1]
	l.pos++
	l.identifier()
	name := l.text[start:l.pos]
	if i, ok := byName[name]; ok {
		l.add(token{kind: tokenAttribute, offset: start, attribute: Attribute{Intrinsic: i}})
		return nil
	}
	var expected []string
	for i := IntrinsicName; i < intrinsicCount; i++ {
		if s := intrinsics[i].scoped; strings.HasPrefix(s, scope) {
			expected = append(expected, s)
		}
	}
	if expected == nil {
		return errorAt(l.text, start, []string{"span:", "trace:", "event:", "link:", "instrumentation:"}, "unknown scope %q of an intrinsic", scope)
	}
	return errorAt(l.text, start, expected, "unknown intrinsic %q", name)
}

// attribute reads the dot at pos and the name behind it.
func (l *lexer) attribute(start int, a Attribute) *SyntaxError {
	l.pos++
	if a.Parent {
		for _, s := range []Scope{ScopeSpan, ScopeResource} {
			if strings.HasPrefix(l.text[l.pos:], s.String()+".") {
				a.Scope = s
				l.pos += len(s.String()) + 1
			}
		}
	}
	nameStart := l.pos
	var name strings.Builder
	for l.pos < len(l.text) {
		r, size := utf8.DecodeRuneInString(l.text[l.pos:])
		if r == utf8.RuneError && size == 1 {
			return errorAt(l.text, l.pos, nil, "byte %#x is not UTF-8", l.text[l.pos])
		}
		if r == '"' {
			if err := l.quotedName(&name); err != nil {
				return err
			}
			continue
		}
		if !nameRune(r) {
			break
		}
		name.WriteString(l.text[l.pos : l.pos+size])
		l.pos += size
	}
	if l.pos == nameStart {
		return errorAt(l.text, l.pos, []string{"an attribute name"}, "nothing behind %q", l.text[start:l.pos])
	}
	a.Name = name.String()
	l.add(token{kind: tokenAttribute, offset: start, attribute: a})
	return nil
}

// quotedName reads a part of a name in quotes, in which only \" and \\ are escapes.
func (l *lexer) quotedName(name *strings.Builder) *SyntaxError {
	start := l.pos
	for l.pos++; l.pos < len(l.text); l.pos++ {
		switch c := l.text[l.pos]; c {
		case '"':
			l.pos++
			if !utf8.ValidString(l.text[start:l.pos]) {
				return errorAt(l.text, start, nil, "attribute name is not UTF-8")
			}
			return nil
		case '\\':
			if l.pos++; l.pos == len(l.text) || l.text[l.pos] != '"' && l.text[l.pos] != '\\' {
				return errorAt(l.text, l.pos-1, []string{`\"`, `\\`}, "unknown escape in an attribute name")
			}
			name.WriteByte(l.text[l.pos])
		default:
			name.WriteByte(c)
		}
	}
	return errorAt(l.text, start, []string{"a closing quote"}, "attribute name without end")
}

// str reads a string in double quotes, with the escapes of Go, or in back quotes,
// with none.
func (l *lexer) str(quote byte) *SyntaxError {
	start := l.pos
	for l.pos++; ; l.pos++ {
		if l.pos >= len(l.text) || quote == '"' && l.text[l.pos] == '\n' {
			return errorAt(l.text, start, []string{"a closing quote"}, "string without end")
		}
		if c := l.text[l.pos]; c == quote {
			l.pos++
			break
		} else if c == '\\' && quote == '"' {
			l.pos++
		}
	}
	raw := l.text[start:l.pos]
	value, err := strconv.Unquote(raw)
	if quote == '`' {
		value, err = raw[1:len(raw)-1], nil
	}
	if err != nil {
		return l.badEscape(start, raw)
	}
	l.add(token{kind: tokenLiteral, offset: start, value: StringValue(value)})
	return nil
}

// badEscape points at the escape that Unquote did not like.
func (l *lexer) badEscape(start int, raw string) *SyntaxError {
	rest := raw[1 : len(raw)-1]
	for rest != "" {
		_, _, tail, err := strconv.UnquoteChar(rest, '"')
		if err != nil {
			break
		}
		rest = tail
	}
	at := start + len(raw) - 1 - len(rest)
	_, size := utf8.DecodeRuneInString(l.text[min(at+1, len(l.text)):])
	return errorAt(l.text, at, nil, "unknown escape %s in a string; a backslash is written \\\\, or the string in back quotes", l.text[at:min(at+1+size, len(l.text))])
}

// number reads an integer, a float or a duration.
func (l *lexer) number() *SyntaxError {
	start := l.pos
	digits := func() {
		for l.pos < len(l.text) && isDigit(l.text[l.pos]) {
			l.pos++
		}
	}
	digits()
	float := false
	if l.pos < len(l.text) && l.text[l.pos] == '.' {
		float = true
		l.pos++
		digits()
	}
	mantissa := l.pos
	if l.pos < len(l.text) && (l.text[l.pos] == 'e' || l.text[l.pos] == 'E') {
		l.pos++
		if l.pos < len(l.text) && (l.text[l.pos] == '+' || l.text[l.pos] == '-') {
			l.pos++
		}
		if l.pos < len(l.text) && isDigit(l.text[l.pos]) {
			float = true
			digits()
		} else {
			l.pos = mantissa
		}
	}
	if r, _ := utf8.DecodeRuneInString(l.text[l.pos:]); unicode.IsLetter(r) {
		return l.duration(start)
	}
	t := token{kind: tokenLiteral, offset: start}
	text := l.text[start:l.pos]
	if float {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return errorAt(l.text, start, nil, "number %s is too large", text)
		}
		t.value = FloatValue(f)
	} else if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		t.value = IntValue(i)
	} else if n, err := strconv.ParseUint(text, 10, 64); err == nil && n == 1<<63 {
		t.kind = tokenBigInt
	} else {
		return errorAt(l.text, start, nil, "integer %s does not fit 64 bits", text)
	}
	l.add(t)
	return nil
}

func (l *lexer) duration(start int) *SyntaxError {
	for l.pos < len(l.text) {
		r, size := utf8.DecodeRuneInString(l.text[l.pos:])
		if r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			break
		}
		l.pos += size
	}
	text := l.text[start:l.pos]
	d, err := parseDuration(text)
	if err != nil {
		return errorAt(l.text, start, []string{"ns", "us", "ms", "s", "m", "h", "d", "w"}, "duration %q: %v", text, err)
	}
	l.add(token{kind: tokenLiteral, offset: start, value: DurationValue(d)})
	return nil
}

// parseDuration knows Go's units and, before them, those of Prometheus for days.
func parseDuration(text string) (time.Duration, error) {
	days := time.Duration(0)
	rest := text
	for _, unit := range []struct {
		name string
		days time.Duration
	}{{"y", 365}, {"w", 7}, {"d", 1}} {
		before, after, ok := strings.Cut(rest, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil {
			return 0, errors.New("unknown unit")
		}
		days += time.Duration(n) * unit.days
		rest = after
	}
	d := time.Duration(0)
	if rest != "" {
		var err error
		if d, err = time.ParseDuration(rest); err != nil {
			if _, e := strconv.ParseFloat(strings.TrimRight(rest, "nuµmsh"), 64); e == nil {
				return 0, errors.New("too large")
			}
			return 0, errors.New("unknown unit")
		}
	}
	const day = 24 * time.Hour
	if days > (math.MaxInt64-d)/day {
		return 0, errors.New("too large")
	}
	return days*day + d, nil
}
