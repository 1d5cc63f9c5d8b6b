package traceql

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameTree compares trees without the places in their texts.
var sameTree = cmp.Options{
	cmp.AllowUnexported(Value{}),
	cmpopts.IgnoreUnexported(Binary{}),
	cmpopts.IgnoreFields(Field{}, "Offset"),
	cmpopts.IgnoreFields(Literal{}, "Offset"),
	cmpopts.IgnoreFields(Unary{}, "Offset"),
	cmpopts.IgnoreFields(Binary{}, "Offset"),
	cmpopts.IgnoreFields(ScalarFilter{}, "Offset"),
	cmpopts.IgnoreFields(ScalarBinary{}, "Offset"),
	cmpopts.IgnoreFields(Aggregate{}, "Offset"),
	cmpopts.IgnoreFields(GroupBy{}, "Offset"),
	cmpopts.IgnoreFields(Metrics{}, "Offset"),
	cmpopts.EquateNaNs(),
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
		if diff := cmp.Diff(q, again, sameTree); diff != "" {
			t.Errorf("%s: its canonical text %s is another query:\n%s", text, q, diff)
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
		if diff := cmp.Diff(q, again, sameTree); diff != "" {
			t.Fatalf("canonical text %q is another query:\n%s", canonical, diff)
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
