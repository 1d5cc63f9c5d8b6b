package exec

import (
	"context"
	"errors"
	"iter"
	"testing"

	"go.opentelemetry.io/otel/codes"

	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/iterators"
)

type sequences struct {
	r        *recorder
	err      error
	yielded  []error
	inIter   bool // the iterator ran in the span's context
	empty    bool // return nil iterators
	panicNow bool // panic in the method
	panicIn  bool // panic in the iterator
}

func seqOf[V any](s *sequences, ctx context.Context, vs ...V) iter.Seq[V] {
	if s.panicNow {
		panic("in the method")
	}
	if s.empty {
		return nil
	}
	return func(yield func(V) bool) {
		s.inIter = s.r.inSpan(ctx)
		for _, v := range vs {
			if s.panicIn {
				panic("in the iterator")
			}
			if !yield(v) {
				return
			}
		}
	}
}

var three = []iterators.Article{{ID: "a"}, {ID: "b"}, {ID: "c"}}

func (s *sequences) All(ctx context.Context, limit int) iter.Seq[iterators.Article] {
	return seqOf(s, ctx, three...)
}

func (s *sequences) Indexed(ctx context.Context) iter.Seq2[int, iterators.Article] {
	return func(yield func(int, iterators.Article) bool) {
		for i, a := range three {
			if !yield(i, a) {
				return
			}
		}
	}
}

func (s *sequences) Fallible(ctx context.Context) iter.Seq2[iterators.Article, error] {
	return func(yield func(iterators.Article, error) bool) {
		for i, err := range s.yielded {
			if !yield(three[i], err) {
				return
			}
		}
	}
}

func (s *sequences) Counted(ctx context.Context) (iter.Seq[iterators.Article], int, error) {
	return seqOf(s, ctx, three...), 3, s.err
}

func (s *sequences) Both(ctx context.Context) (int, iter.Seq2[iterators.Article, error], error) {
	return 1, s.Fallible(ctx), s.err
}

func (s *sequences) Defined(ctx context.Context) iterators.Articles {
	return iterators.Articles(seqOf(s, ctx, &three[0]))
}

func (s *sequences) Plain(ctx context.Context) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) { yield(1, "x") }
}

func (s *sequences) DefinedYield(ctx context.Context, v, yield int) func(iterators.Yield) {
	return func(y iterators.Yield) { y(&three[v]) }
}

func (s *sequences) Channel(context.Context) (<-chan iterators.Article, chan<- (<-chan int), chan (<-chan error)) {
	c := make(chan iterators.Article, 1)
	c <- three[0]
	return c, nil, nil
}

func (s *sequences) Two(context.Context) (iter.Seq[int], iter.Seq[int]) { return nil, nil }
func (s *sequences) NoContext() iter.Seq[int]                           { return func(func(int) bool) {} }

func TestIterationEndsTheSpan(t *testing.T) {
	r := newRecorder(t)
	inner := &sequences{r: r}
	svc := iterators.TraceService(inner, r)

	seq := svc.All(r.ctx, 7)
	if got := r.take(); got != nil {
		t.Errorf("ended before the iteration: %v", got)
	}
	n := 0
	for range seq {
		n++
		if got := r.take(); got != nil {
			t.Errorf("ended within the iteration: %v", got)
		}
	}
	if n != 3 || !inner.inIter {
		t.Errorf("%d values, in the span's context: %v", n, inner.inIter)
	}
	want := span{Name: "Service.All", Attrs: map[string]any{"limit": int64(7)}}
	r.want(t, "iterators", want)

	for range seq { // once more, without a span
		n++
	}
	if n != 6 {
		t.Errorf("%d values after two iterations", n)
	}
	r.want(t, "iterators")

	for range svc.All(r.ctx, 7) {
		break
	}
	r.want(t, "iterators", want)

	next, stop := iter.Pull(svc.All(r.ctx, 7))
	if a, ok := next(); !ok || a.ID != "a" {
		t.Errorf("pulled %v, %v", a, ok)
	}
	stop()
	r.want(t, "iterators", want)

	for i, a := range svc.Indexed(r.ctx) {
		if a != three[i] {
			t.Errorf("value %d is %v", i, a)
		}
	}
	r.want(t, "iterators", span{Name: "Service.Indexed"})

	for range svc.Defined(r.ctx) {
	}
	for i, s := range svc.Plain(r.ctx) {
		if i != 1 || s != "x" {
			t.Errorf("got %d, %q", i, s)
		}
	}
	svc.DefinedYield(r.ctx, 1, 2)(func(a *iterators.Article) bool { return a.ID == "b" })
	r.want(t, "iterators", span{Name: "Service.Defined"}, span{Name: "Service.Plain"}, span{Name: "Service.DefinedYield"})
}

func TestIteratorNil(t *testing.T) {
	r := newRecorder(t)
	svc := iterators.TraceService(&sequences{r: r, empty: true}, r)
	if svc.All(r.ctx, 1) != nil {
		t.Error("a nil iterator is no longer nil")
	}
	r.want(t, "iterators", span{Name: "Service.All", Attrs: map[string]any{"limit": int64(1)}})
}

func TestIteratorErrors(t *testing.T) {
	r := newRecorder(t)
	errRead := errors.New("read")
	failed := func(name string, attrs map[string]any) span {
		if attrs == nil {
			attrs = map[string]any{}
		}
		attrs["error.type"] = "*errors.errorString"
		return span{Name: name, Status: codes.Error, Desc: "read", Attrs: attrs}
	}
	inner := &sequences{r: r, yielded: []error{nil, errRead, nil}}
	svc := iterators.TraceService(inner, r)
	var got []error
	for _, err := range svc.Fallible(r.ctx) {
		got = append(got, err)
	}
	if len(got) != 3 || got[1] != errRead {
		t.Errorf("yielded %v", got)
	}
	r.want(t, "iterators", failed("Service.Fallible", nil))

	inner.yielded = []error{nil, context.Canceled}
	for range svc.Fallible(r.ctx) {
	}
	r.want(t, "iterators", span{Name: "Service.Fallible"})

	inner.yielded = []error{errRead, nil, nil}
	for range svc.Fallible(r.ctx) {
		break
	}
	r.want(t, "iterators", failed("Service.Fallible", nil))

	// An error with the iterator ends the span at once.
	inner.err = errRead
	if _, _, err := svc.Counted(r.ctx); err != errRead {
		t.Error(err)
	}
	r.want(t, "iterators", failed("Service.Counted", nil))

	inner.err = nil
	seq, n, err := svc.Counted(r.ctx)
	for range seq {
	}
	if n != 3 || err != nil {
		t.Errorf("returned %d, %v", n, err)
	}
	r.want(t, "iterators", span{Name: "Service.Counted", Attrs: map[string]any{"total": int64(3)}})

	_, both, err := svc.Both(r.ctx)
	if err != nil {
		t.Error(err)
	}
	for range both {
	}
	r.want(t, "iterators", failed("Service.Both", nil))
}

func TestIteratorPanics(t *testing.T) {
	r := newRecorder(t)
	inner := &sequences{r: r}
	svc := iterators.TraceService(inner, r)
	want := span{Name: "Service.All", Status: codes.Error, Desc: "panic", Attrs: map[string]any{
		"limit": int64(1), "error.type": "panic",
	}}
	panics := func(do func()) (v any) {
		defer func() { v = recover() }()
		do()
		return nil
	}

	inner.panicNow = true
	if v := panics(func() { svc.All(r.ctx, 1) }); v != "in the method" {
		t.Errorf("recovered %v", v)
	}
	r.want(t, "iterators", want)

	inner.panicNow, inner.panicIn = false, true
	if v := panics(func() {
		for range svc.All(r.ctx, 1) {
		}
	}); v != "in the iterator" {
		t.Errorf("recovered %v", v)
	}
	r.want(t, "iterators", want)

	inner.panicIn = false
	if v := panics(func() {
		for range svc.All(r.ctx, 1) {
			panic("in the loop")
		}
	}); v != "in the loop" {
		t.Errorf("recovered %v", v)
	}
	r.want(t, "iterators", want)
}

func TestChannel(t *testing.T) {
	r := newRecorder(t)
	c, _, _ := iterators.TraceService(&sequences{r: r}, r).Channel(r.ctx)
	if a := <-c; a.ID != "a" {
		t.Errorf("received %v", a)
	}
	r.want(t, "iterators", span{Name: "Service.Channel"})
}
