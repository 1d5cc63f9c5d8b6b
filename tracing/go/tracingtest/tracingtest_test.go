package tracingtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// order is the code under test of the examples.
func order(ctx context.Context, provider trace.TracerProvider) {
	tracer := provider.Tracer("shop")
	ctx, span := tracer.Start(ctx, "order", trace.WithAttributes(attribute.Int("items", 2)))
	defer span.End()
	_, check := tracer.Start(ctx, "check stock")
	check.End()
	_, pay := tracer.Start(ctx, "pay", trace.WithSpanKind(trace.SpanKindClient))
	pay.SetStatus(codes.Error, "card expired")
	pay.End()
}

func ExampleRecorder() {
	r := tracingtest.NewRecorder()
	order(context.Background(), r.TracerProvider())
	fmt.Print(r.Tree())
	fmt.Println(r.Find("order").Attribute("items").AsInt64(), len(r.Spans()), r.Open())
	// Output:
	// internal order
	//   internal check stock
	//   client pay error: card expired
	// 2 3 []
}

func ExampleRecorder_Tree() {
	r := tracingtest.NewRecorder()
	order(context.Background(), r.TracerProvider())
	fmt.Print(r.Tree(tracingtest.ByName(), tracingtest.WithAttributes("items"), tracingtest.Mask("items")))
	// Output:
	// internal order
	//     items=*
	//   internal check stock
	//   client pay error: card expired
}

func ExampleRecorder_Roots() {
	r := tracingtest.NewRecorder()
	order(context.Background(), r.TracerProvider())
	root := r.Roots()[0]
	fmt.Println(root.Name, root.Context.TraceID(), root.End.Sub(root.Start))
	for _, child := range root.Children {
		fmt.Println(child.Name, child.Context.SpanID(), child.Start.Sub(tracingtest.Epoch))
	}
	// Output:
	// order 00000000000000000000000000000001 5ms
	// check stock 0000000000000002 1ms
	// pay 0000000000000003 3ms
}

func ExampleRecorder_SpanProcessor() {
	r := tracingtest.NewRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.SpanProcessor()))
	order(context.Background(), provider)
	fmt.Println(len(r.Spans()))
	r.Reset()
	fmt.Println(len(r.Spans()))
	// Output:
	// 3
	// 0
}

// TestInstall: the recorder is the global provider while the test runs, and no longer.
func TestInstall(t *testing.T) {
	before := otel.GetTracerProvider()
	t.Run("inner", func(t *testing.T) {
		r := tracingtest.Install(t)
		order(t.Context(), otel.GetTracerProvider())
		tracingtest.AssertTree(t, r, `
			internal order
			  internal check stock
			  client pay error: card expired
		`)
		tracingtest.Golden(t, filepath.Join("testdata", "order.txt"), r.Tree(tracingtest.WithAttributes()))
	})
	if otel.GetTracerProvider() != before {
		t.Error("the global provider is still the recorder")
	}
}

// fake is a test whose failures are kept.
type fake struct {
	testing.TB
	errors []string
}

func (f *fake) Helper()                   {}
func (f *fake) Errorf(s string, a ...any) { f.errors = append(f.errors, fmt.Sprintf(s, a...)) }
func (f *fake) Fatalf(s string, a ...any) { f.Errorf(s, a...) }
func (f *fake) Fatal(a ...any)            { f.errors = append(f.errors, fmt.Sprint(a...)) }

// TestFailures: a tree that differs, a span that is not ended, and a golden file that differs or is not there fail a
// test, with what is needed to see why.
func TestFailures(t *testing.T) {
	r := tracingtest.NewRecorder()
	order(t.Context(), r.TracerProvider())
	_, leak := r.TracerProvider().Tracer("t").Start(t.Context(), "leak")
	f := &fake{TB: t}
	tracingtest.AssertTree(f, r, "internal other")
	if got := strings.Join(f.errors, "\n"); !strings.Contains(got, "client pay") || !strings.Contains(got, "internal other") ||
		!strings.Contains(got, `"leak"`) {
		t.Errorf("reported %s", got)
	}
	leak.End()

	t.Setenv("UPDATE_GOLDEN", "")
	path := filepath.Join(t.TempDir(), "sub", "tree.txt")
	f = &fake{TB: t}
	tracingtest.Golden(f, path, "a\n")
	if got := strings.Join(f.errors, "\n"); !strings.Contains(got, path) || !strings.Contains(got, "-update") {
		t.Errorf("missing file: reported %s", got)
	}
	t.Setenv("UPDATE_GOLDEN", "1")
	f = &fake{TB: t}
	tracingtest.Golden(f, path, "a\n")
	if data, err := os.ReadFile(path); string(data) != "a\n" || err != nil || len(f.errors) > 0 {
		t.Errorf("%q, %v, %v", data, err, f.errors)
	}
	t.Setenv("UPDATE_GOLDEN", "")
	tracingtest.Golden(f, path, "a\n")
	tracingtest.Golden(f, path, "b\n")
	if len(f.errors) != 1 || !strings.Contains(f.errors[0], "b\n") {
		t.Errorf("reported %q", f.errors)
	}
}

// TestConcurrent: spans of many goroutines, of which none is lost, sorted by name.
func TestConcurrent(t *testing.T) {
	r := tracingtest.NewRecorder()
	tracer := r.TracerProvider().Tracer("t")
	ctx, root := tracer.Start(t.Context(), "root")
	var wg sync.WaitGroup
	want := "internal root\n"
	for i := range 20 {
		name := fmt.Sprintf("child %02d", i)
		want += "  internal " + name + "\n"
		wg.Go(func() {
			_, span := tracer.Start(ctx, name)
			span.RecordError(errors.New("x"))
			span.End()
		})
	}
	wg.Wait()
	root.End()
	tracingtest.AssertTree(t, r, want, tracingtest.ByName())
	if s := r.Find("nothing"); s != nil {
		t.Errorf("found %v", s)
	}
	if s := r.Find("child 00"); len(s.Events) != 1 || s.Attribute("nothing").Type() != attribute.EMPTY {
		t.Errorf("events %v", s.Events)
	}
}

// TestStatusOK: a status that is said to be ok is shown.
func TestStatusOK(t *testing.T) {
	r := tracingtest.NewRecorder()
	_, span := r.TracerProvider().Tracer("t").Start(t.Context(), "s")
	span.SetStatus(codes.Ok, "")
	span.End()
	tracingtest.AssertTree(t, r, "internal s ok")
	tracingtest.AssertTree(t, tracingtest.NewRecorder(), "")
}
