package directive

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		comment string
		want    *Directive
	}{
		{"//trace:skip", &Directive{Verb: Skip, ArgOffset: 12}},
		{"//trace:skip  ", &Directive{Verb: Skip, ArgOffset: 14}},
		{"//trace:name get article", &Directive{Verb: Name, Arg: "get article", ArgOffset: 13}},
		{`//trace:name  "get article"`, &Directive{Verb: Name, Arg: "get article", ArgOffset: 14}},
		{"//trace:name `a\"b`", &Directive{Verb: Name, Arg: `a"b`, ArgOffset: 13}},
		{"//trace:attr article.id=id", &Directive{Verb: Attr, Key: "article.id", Arg: "id", ArgOffset: 24}},
		{"//trace:attr\tn = len(result0)", &Directive{Verb: Attr, Key: "n", Arg: "len(result0)", ArgOffset: 17}},
		{"//trace:attr same=a==b", &Directive{Verb: Attr, Key: "same", Arg: "a==b", ArgOffset: 18}},
		{"//trace:kind client", &Directive{Verb: Kind, Arg: "client", ArgOffset: 13}},
		{
			"//trace:ignore-error errors.Is(err, ErrNotFound)",
			&Directive{Verb: IgnoreError, Arg: "errors.Is(err, ErrNotFound)", ArgOffset: 21},
		},
		{"// GetArticle returns an article.", nil},
		{"//go:generate tracegen", nil},
		{"//nolint:errcheck", nil},
		{"//lint:skip", nil},
		{"// trace: skip the rest", nil},
		{"// Trace: name of the thing", nil},
		{"//", nil},
		{"/* a trace:skip */", nil},
		{"", nil},
	} {
		got, err := Parse(tt.comment)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.comment, err)
		} else if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", tt.comment, diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ comment, want string }{
		{"//trace:", "8: missing verb after //trace:"},
		{"//trace: skip", "8: missing verb after //trace:"},
		{"//trace:skp", "0: unknown directive //trace:skp (did you mean //trace:skip?)"},
		{"//trace:Skip", "0: unknown directive //trace:Skip (did you mean //trace:skip?)"},
		{"//trace:atrr id=id", "0: unknown directive //trace:atrr (did you mean //trace:attr?)"},
		{"//trace:ignore-errors x", "0: unknown directive //trace:ignore-errors (did you mean //trace:ignore-error?)"},
		{"//trace:ignore_error x", "0: unknown directive //trace:ignore_error (did you mean //trace:ignore-error?)"},
		{"//trace:sampling", "0: unknown directive //trace:sampling"},
		{"//trace:skip because", "13: //trace:skip takes no argument"},
		{"//trace:name", "12: //trace:name needs a span name"},
		{`//trace:name ""`, "13: span name is empty"},
		{`//trace:name "a`, `13: span name "a is not a quoted Go string`},
		{`//trace:name "a\nb"`, `13: span name "a\nb" has characters that cannot be shown`},
		{"//trace:attr ", "13: //trace:attr needs key=expression"},
		{"//trace:attr id", `13: "id" is not of the form key=expression`},
		{"//trace:attr =id", "13: attribute key is empty"},
		{"//trace:attr article id=id", `20: attribute key "article id" contains ' '`},
		{"//trace:attr articlé=id", `19: attribute key "articlé" contains 'é'`},
		{"//trace:attr id=", `16: attribute "id" has no expression`},
		{"//trace:kind", "12: //trace:kind needs one of internal, server, client, producer, consumer"},
		{"//trace:kind Client", `13: unknown span kind "Client" (did you mean client?)`},
		{"//trace:kind rpc", `13: unknown span kind "rpc": want internal, server, client, producer, consumer`},
		{"//trace:ignore-error", "20: //trace:ignore-error needs a boolean expression, such as errors.Is(err, ErrNotFound)"},
		{"// trace:skip", "0: this comment is not a directive: write //trace:skip"},
		{"//Trace:attr id=id", "0: this comment is not a directive: write //trace:attr"},
		{"//tarce:skip", "0: this comment is not a directive: write //trace:skip"},
		{"//traces:skip", "0: this comment is not a directive: write //trace:skip"},
		{"//tracegen:skip", "0: this comment is not a directive: write //trace:skip"},
		{"/*trace:skip*/", "0: this comment is not a directive: write //trace:skip"},
	} {
		_, err := Parse(tt.comment)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("Parse(%q) gives error %v, want %q", tt.comment, err, tt.want)
		} else if got := fmt.Sprintf("%d: %s", e.Offset, e.Msg); got != tt.want {
			t.Errorf("Parse(%q) gives error\n%q, want\n%q", tt.comment, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"//trace:skip", "//trace:name x", `//trace:name "x\ty"`, "//trace:attr k=v", "//trace:attr k = f(a, b) == 3",
		"//trace:kind client", "//trace:ignore-error errors.Is(err, ErrNotFound)", "// trace:skip", "//trace:", "//tarce:skip",
		"/*trace:skip*/", "//trace:attr é=", "//trace:name `\x00`", "//trace:skip\u00a0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, comment string) {
		d, err := Parse(comment)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v is not an *Error", err)
			}
			if e.Offset < 0 || e.Offset > len(comment) || e.Msg == "" {
				t.Fatalf("error at %d of %d bytes: %q", e.Offset, len(comment), e.Msg)
			}
			return
		}
		if d == nil {
			if strings.HasPrefix(comment, Prefix) {
				t.Fatalf("%q starts as a directive does and was passed over", comment)
			}
			return
		}
		if d.Verb != Name && !strings.HasPrefix(comment[d.ArgOffset:], d.Arg) {
			t.Fatalf("argument %q is not at offset %d of %q", d.Arg, d.ArgOffset, comment)
		}
		again, err := Parse(d.String())
		if err != nil {
			t.Fatalf("%q became %q, which does not parse: %v", comment, d, err)
		}
		again.ArgOffset = d.ArgOffset
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatalf("%q became %q:\n%s", comment, d, diff)
		}
	})
}
