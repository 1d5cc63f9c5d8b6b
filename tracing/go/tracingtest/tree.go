package tracingtest

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
)

// TreeOption changes how a tree is printed.
type TreeOption func(*treeOptions)

type treeOptions struct {
	byName     bool
	attributes bool
	keys       []string
	masked     []string
}

// ByName sorts siblings by name, for spans of concurrent goroutines.
func ByName() TreeOption { return func(o *treeOptions) { o.byName = true } }

// WithAttributes prints the attributes called keys below each span, all of them when none is named, sorted by key,
// and the events.
func WithAttributes(keys ...string) TreeOption {
	return func(o *treeOptions) { o.attributes, o.keys = true, keys }
}

// Mask prints "*" for the values of the attributes called keys, for what differs from run to run.
func Mask(keys ...string) TreeOption {
	return func(o *treeOptions) { o.masked = append(o.masked, keys...) }
}

// Tree prints the recorded spans, one line each, children indented by two spaces:
//
//	server GET /articles/v1/{id}
//	  internal get article endpoint
//	    client GET /suggestions/v1/{id} error: connection refused
func (r *Recorder) Tree(opts ...TreeOption) string {
	o := &treeOptions{}
	for _, opt := range opts {
		opt(o)
	}
	var b strings.Builder
	o.print(&b, r.Roots(), "")
	return b.String()
}

func (o *treeOptions) print(b *strings.Builder, spans []*Span, indent string) {
	if o.byName {
		slices.SortStableFunc(spans, func(a, b *Span) int { return cmp.Compare(a.Name, b.Name) })
	}
	for _, s := range spans {
		b.WriteString(indent + s.Kind.String() + " " + s.Name)
		if s.Status.Code == codes.Error {
			b.WriteString(" error")
			if s.Status.Description != "" {
				b.WriteString(": " + s.Status.Description)
			}
		} else if s.Status.Code == codes.Ok {
			b.WriteString(" ok")
		}
		b.WriteByte('\n')
		if o.attributes {
			o.printAttributes(b, s.Attributes, indent+"    ")
			for _, e := range s.Events {
				b.WriteString(indent + "    event " + e.Name + "\n")
				o.printAttributes(b, e.Attributes, indent+"        ")
			}
		}
		o.print(b, s.Children, indent+"  ")
	}
}

func (o *treeOptions) printAttributes(b *strings.Builder, attrs []attribute.KeyValue, indent string) {
	attrs = slices.Clone(attrs)
	slices.SortFunc(attrs, func(a, b attribute.KeyValue) int { return cmp.Compare(a.Key, b.Key) })
	for _, kv := range attrs {
		key := string(kv.Key)
		if len(o.keys) > 0 && !slices.Contains(o.keys, key) {
			continue
		}
		value := kv.Value.String()
		if slices.Contains(o.masked, key) {
			value = "*"
		}
		b.WriteString(indent + key + "=" + value + "\n")
	}
}

// AssertTree fails the test unless want is the tree that was recorded. Common indentation and surrounding blank lines
// of want are ignored, so that it can be a raw string in the test.
func AssertTree(t testing.TB, r *Recorder, want string, opts ...TreeOption) {
	t.Helper()
	got := r.Tree(opts...)
	if want = dedent(want); got != want {
		t.Errorf("the trace differs\ngot:\n%s\nwant:\n%s", got, want)
	}
	if open := r.Open(); len(open) > 0 {
		t.Errorf("spans not ended: %q", open)
	}
}

// Golden fails the test unless the file at path holds got. It writes the file instead when the test binary has a
// boolean flag "update" that is set, or the environment variable UPDATE_GOLDEN is not empty.
func Golden(t testing.TB, path, got string) {
	t.Helper()
	if update := flag.Lookup("update"); update != nil && update.Value.String() == "true" || os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run the test with -update to write it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run the test with -update to rewrite it)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// dedent removes blank lines around s and the indentation of its first line from all of its lines.
func dedent(s string) string {
	lines := strings.Split(strings.TrimRight(s, " \t\n"), "\n")
	for len(lines) > 0 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return ""
	}
	indent := lines[0][:len(lines[0])-len(strings.TrimLeft(lines[0], " \t"))]
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, indent)
	}
	return strings.Join(lines, "\n") + "\n"
}
