package traceql

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SyntaxError says why a text is no query, and where.
type SyntaxError struct {
	Offset   int      // in bytes, from 0
	Line     int      // from 1
	Column   int      // in characters, from 1
	Msg      string   // what is wrong
	Expected []string // what may stand there; empty when that is not the matter
}

// Error has the form "1:5: unexpected "}", expected a field, a value or "("".
func (e *SyntaxError) Error() string {
	msg := fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Msg)
	if len(e.Expected) > 0 {
		msg += ", expected " + alternatives(e.Expected)
	}
	return msg
}

func alternatives(all []string) string {
	if len(all) == 1 {
		return all[0]
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

// errorAt makes the error for a place in the text.
func errorAt(text string, offset int, expected []string, format string, args ...any) *SyntaxError {
	before := text[:offset]
	line := strings.LastIndexByte(before, '\n') + 1
	return &SyntaxError{
		Offset:   offset,
		Line:     1 + strings.Count(before, "\n"),
		Column:   1 + utf8.RuneCountInString(before[line:]),
		Msg:      fmt.Sprintf(format, args...),
		Expected: expected,
	}
}
