package traceql

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// shape writes a tree without the places in its text. It is the comparison of
// this package's tests: go-cmp takes minutes for a chain of some thousand.
func shape(node any) string {
	var b strings.Builder
	writeShape(&b, reflect.ValueOf(node))
	return b.String()
}

func writeShape(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		if value, ok := v.Interface().(*Matcher); ok {
			fmt.Fprintf(b, "%q", value.re)
			return
		}
		writeShape(b, v.Elem())
	case reflect.Struct:
		if value, ok := v.Interface().(Value); ok {
			fmt.Fprintf(b, "%s %s", value.typ, value)
			return
		}
		b.WriteString(v.Type().Name() + "(")
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Offset" {
				writeShape(b, v.Field(i))
				b.WriteByte(' ')
			}
		}
		b.WriteByte(')')
	case reflect.Slice:
		fmt.Fprintf(b, "%d[", v.Len())
		for i := range v.Len() {
			writeShape(b, v.Index(i))
			b.WriteByte(' ')
		}
		b.WriteByte(']')
	default:
		fmt.Fprintf(b, "%#v", v.Interface())
	}
}

// lines reads a file of testdata, without comments and empty lines.
func lines(t testing.TB, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	return out
}

// testdata/valid.txt holds a query and, behind a tab, its canonical text where
// that differs.
func TestParse(t *testing.T) {
	for _, line := range lines(t, "testdata/valid.txt") {
		text, want, ok := strings.Cut(line, "\t")
		if !ok {
			want = text
		}
		q, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := q.String(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
		again, err := Parse(q.String())
		if err != nil {
			t.Errorf("%s: its canonical text %s: %v", text, q, err)
			continue
		}
		if got, want := shape(again), shape(q); got != want {
			t.Errorf("%s: its canonical text %s is another query:\n got %s\nwant %s", text, q, got, want)
		}
	}
}

// testdata/invalid.txt holds a query and, behind a tab, the error.
func TestParseErrors(t *testing.T) {
	for _, line := range lines(t, "testdata/invalid.txt") {
		text, want, _ := strings.Cut(line, "\t")
		_, err := Parse(text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: error %v, want a SyntaxError", text, err)
		} else if got := syntax.Error(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestParseBoundsItsInput(t *testing.T) {
	for name, text := range map[string]string{
		"long":               "{ " + strings.Repeat(" ", maxLength) + " }",
		"parentheses":        "{ " + strings.Repeat("(", 10_000) + "true",
		"closed":             "{ " + strings.Repeat("(", 10_000) + "true" + strings.Repeat(")", 10_000) + " }",
		"nots":               "{ " + strings.Repeat("!", 60_000) + "true }",
		"minuses":            "{ 1 = " + strings.Repeat("-", 60_000) + "1 }",
		"powers":             "{ 1 = " + strings.Repeat("1^", 30_000) + "1 }",
		"spanset brackets":   strings.Repeat("(", 60_000),
		"pipelines":          strings.Repeat("({ } | ", 9_000),
		"regular expression": `{ name =~ "` + strings.Repeat("a", maxPattern+1) + `" }`,
		"repetition":         `{ name =~ "((a{100}){100}){100}" }`,
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: no error", name)
		} else if len(err.Error()) > 200 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
	// A chain is not deep: it is read and written in a loop or to the left only.
	long := "{ " + strings.Repeat("true && ", 8_000) + "true }"
	q, err := Parse(long)
	if err != nil {
		t.Fatal(err)
	}
	if q.String() != long {
		t.Error("a long chain is not written as it was read")
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range []string{"testdata/valid.txt", "testdata/invalid.txt"} {
		for _, line := range lines(f, file) {
			text, _, _ := strings.Cut(line, "\t")
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error %v is no SyntaxError", err)
			}
			if syntax.Offset < 0 || syntax.Offset > len(text) || syntax.Line < 1 || syntax.Column < 1 {
				t.Fatalf("error %v at offset %d of %d", err, syntax.Offset, len(text))
			}
			return
		}
		canonical := q.String()
		if len(canonical) > maxLength {
			return
		}
		again, err := Parse(canonical)
		if err != nil {
			t.Fatalf("canonical text %q: %v", canonical, err)
		}
		if again.String() != canonical {
			t.Fatalf("canonical text %q becomes %q", canonical, again)
		}
		if got, want := shape(again), shape(q); got != want {
			t.Fatalf("canonical text %q is another query:\n got %s\nwant %s", canonical, got, want)
		}
	})
}

func TestParseOfNothing(t *testing.T) {
	for _, text := range []string{"", " ", "\n\n  // nothing"} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), "unexpected end of the query") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}
