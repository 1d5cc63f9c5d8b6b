// Package terminal draws traces, tables and charts as lines of text.
//
// What it draws came over the wire, so that nothing of it reaches the terminal
// as it is: control characters, which could move the cursor or answer for the
// reader, and characters that turn the direction of text are made visible.
// Widths are counted as terminals count them, by grapheme. Colours say nothing
// that the text does not say too, and are left out unless a [Style] has them.
// Nothing recurses, so that a trace may be as deep as it has spans.
package terminal

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Style says how to draw. The zero value draws without colours and without a
// bound on the width.
type Style struct {
	Color bool
	Width int // columns of the terminal; 0 means no bound
}

// paint is the number of a graphic rendition of ECMA-48.
type paint string

const (
	plain paint = ""
	bold  paint = "1"
	dim   paint = "2"
	red   paint = "31"
)

func (s Style) paint(p paint, text string) string {
	if !s.Color || p == plain || text == "" {
		return text
	}
	return "\x1b[" + string(p) + "m" + text + "\x1b[0m"
}

// Bold is text that stands out.
func (s Style) Bold(text string) string { return s.paint(bold, text) }

// Dim is text that stands back.
func (s Style) Dim(text string) string { return s.paint(dim, text) }

// Red is text that tells of an error.
func (s Style) Red(text string) string { return s.paint(red, text) }

// palette is near to the web UI's colours of services, of a lightness that can be
// read on black and on white.
var palette = []paint{
	"38;5;33", "38;5;172", "38;5;133", "38;5;37", "38;5;245", "38;5;107", "38;5;29", "38;5;62",
}

// Services gives each service a colour of its own, as long as there are some, in
// the order in which they are asked for.
type Services struct {
	style Style
	known map[string]paint
}

// Services begins to give out colours.
func (s Style) Services() *Services { return &Services{s, map[string]paint{}} }

// Paint is text in the colour of a service.
func (c *Services) Paint(service, text string) string {
	p, ok := c.known[service]
	if !ok {
		p = palette[len(c.known)%len(palette)]
		c.known[service] = p
	}
	return c.style.paint(p, text)
}

// Text makes text of unknown origin harmless: it is one line, and has no control
// characters and none that turn the direction.
func Text(s string) string {
	if !strings.ContainsFunc(s, hidden) && utf8.ValidString(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ':
			return '␀' + r
		case r == 0x7f:
			return '␡'
		case hidden(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// hidden are the characters that are not shown as themselves, without the joiner
// and the selectors that pictographs are made with.
func hidden(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == 0x7f
	}
	return r == utf8.RuneError || r != 0x200d && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// Width is the number of columns that text takes.
func Width(text string) int { return width(text) }

func width(text string) int { return uniseg.StringWidth(text) }

// cut shortens text to a width.
func cut(text string, most int) string {
	if most <= 0 {
		return ""
	}
	if len(text) <= most || width(text) <= most {
		return text
	}
	n, at := 0, 0
	for g := uniseg.NewGraphemes(text); g.Next(); {
		if n += g.Width(); n > most-1 {
			break
		}
		_, at = g.Positions()
	}
	return text[:at] + "…"
}

// fill adds spaces up to a width, on the left or on the right.
func fill(text string, columns int, right bool) string {
	space := strings.Repeat(" ", max(0, columns-width(text)))
	if right {
		return space + text
	}
	return text + space
}
