package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/clash"
	postmodel "github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/clash/post/model"
	clashtrace "github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/clash/trace"
	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/clash/user/model"
	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/embedded"
	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/foreign"
	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/generic"
	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/mixed"
	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/several"
	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/store"
	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/structs"
)

type attrs = map[string]any

// repository is a generic.Repository, and generic.Users.
type repository[K comparable, V any] struct{ values map[K]V }

var errNoValue = errors.New("no value")

func (r *repository[K, V]) Get(_ context.Context, key K) (V, error) {
	v, ok := r.values[key]
	if !ok {
		return v, errNoValue
	}
	return v, nil
}

func (r *repository[K, V]) Put(_ context.Context, values map[K]V) error {
	r.values = values
	return nil
}

func (r *repository[K, V]) Keys(context.Context) []K { return nil }

type users struct {
	repository[string, *generic.User]
	found *generic.User
}

func (u *users) ByName(context.Context, string) (*generic.User, error) { return u.found, nil }

type pair struct{}

func (pair) Sum(_ context.Context, s []string, of ...string) (*int, error) {
	n := len(s) + len(of)
	return &n, nil
}

func TestGeneric(t *testing.T) {
	r := newRecorder(t)
	repo := generic.TraceRepository[int, string](&repository[int, string]{}, r)
	if err := repo.Put(r.ctx, map[int]string{1: "one", 2: "two"}); err != nil {
		t.Error(err)
	}
	if v, err := repo.Get(r.ctx, 2); v != "two" || err != nil {
		t.Errorf("Get returned %q, %v", v, err)
	}
	if _, err := repo.Get(r.ctx, 3); err != errNoValue {
		t.Error(err)
	}
	repo.Keys(r.ctx)
	r.want(t, "generic",
		span{Name: "repo.Put", Attrs: attrs{"n": int64(2)}},
		span{Name: "repo.Get", Attrs: attrs{"key": "2"}},
		span{Name: "repo.Get", Attrs: attrs{"key": "3", "error.type": "*errors.errorString"}, Status: codes.Error, Desc: "no value"},
		span{Name: "repo.Keys"},
	)

	us := &users{}
	svc := generic.TraceUsers(us, r)
	svc.ByName(r.ctx, "nobody")
	us.found = &generic.User{Name: "Ann"}
	svc.ByName(r.ctx, "Ann")
	svc.Put(r.ctx, nil)
	r.want(t, "generic",
		span{Name: "Users.ByName"},
		span{Name: "Users.ByName", Attrs: attrs{"name": "Ann"}},
		span{Name: "Users.Put", Attrs: attrs{"n": int64(0)}},
	)

	sum, err := generic.TracePair[[]string, string, int, *int](pair{}, r).Sum(r.ctx, []string{"a"}, "b", "c")
	if *sum != 3 || err != nil {
		t.Errorf("Sum returned %d, %v", *sum, err)
	}
	list := generic.TraceList(generic.List[string](&repository[int, []string]{}), r)
	list.Keys(r.ctx)
	r.want(t, "generic", span{Name: "Pair.Sum", Attrs: attrs{"n": int64(1)}}, span{Name: "List.Keys"})
}

// everything implements the interfaces of package embedded.
type everything struct{ err error }

func (e *everything) Own(context.Context)                             {}
func (e *everything) Read(context.Context, string) (string, error)    { return "text", e.err }
func (e *everything) Write(context.Context, string, string) error     { return e.err }
func (e *everything) Close() error                                    { return e.err }
func (e *everything) Load(context.Context, store.Key) ([]byte, error) { return nil, e.err }
func (e *everything) String() string                                  { return "everything" }
func (e *everything) Literal(context.Context, int)                    {}
func (e *everything) Save(_ context.Context, _ store.Key, _ []byte, opts ...func(*store.Options)) error {
	for _, o := range opts {
		o(&store.Options{})
	}
	return e.err
}

func TestEmbedded(t *testing.T) {
	r := newRecorder(t)
	inner := &everything{}
	all := embedded.TraceAll(inner, r)
	all.Own(r.ctx)
	all.Read(r.ctx, "x")
	all.Write(r.ctx, "x", "text")
	all.Load(r.ctx, "k")
	called := 0
	all.Save(r.ctx, "k", nil, func(*store.Options) { called++ }, func(*store.Options) { called++ })
	all.Literal(r.ctx, 5)
	if all.Close() != nil || all.String() != "everything" || called != 2 {
		t.Error("delegation is broken")
	}
	client := trace.SpanKindClient
	r.want(t, "embedded",
		span{Name: "All.Own"},
		span{Name: "All.Read", Kind: client, Attrs: attrs{"id": "x"}},
		span{Name: "write it", Kind: trace.SpanKindProducer},
		span{Name: "All.Load", Kind: client, Attrs: attrs{"key": "k", "empty": false, "key.type": "x"}},
		span{Name: "All.Save", Kind: client},
		span{Name: "All.Literal", Attrs: attrs{"n": int64(5)}},
	)

	o := embedded.TraceOverridden(inner, r)
	load := attrs{"key": "k", "empty": false, "key.type": "x"}
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, fmt.Errorf("x: %w", store.ErrMissing)} {
		inner.err = err
		if _, got := o.Load(r.ctx, "k"); got != err {
			t.Errorf("Load returned %v", got)
		}
		r.want(t, "embedded", span{Name: "Overridden.Load", Kind: client, Attrs: load})
	}
	o.Read(r.ctx, "x")
	o.Close()
	o.Save(r.ctx, "k", nil) // ErrMissing is no failure of Load alone
	r.want(t, "embedded", span{
		Name: "Overridden.Save", Kind: client, Status: codes.Error, Desc: "x: missing",
		Attrs: attrs{"error.type": "*errors.errorString"},
	})
}

type posts struct{ err error }

func (posts) User(context.Context, clashtrace.ID) (model.User, error)  { return model.User{ID: 3}, nil }
func (p posts) Publish(context.Context, postmodel.Post, []error) error { return p.err }

func TestClash(t *testing.T) {
	r := newRecorder(t)
	svc := clash.TraceService(posts{postmodel.ErrDraft}, r)
	svc.User(r.ctx, "u")
	svc.Publish(r.ctx, postmodel.Post{}, nil)
	r.want(t, "clash",
		span{Name: "Service.User", Attrs: attrs{"id": "u", "valid": true, "user": int64(3)}},
		span{Name: "Service.Publish", Attrs: attrs{"post": int64(0), "zero": true}},
	)
}

type resolver struct{ *net.Resolver }

func (resolver) LookupHost(_ context.Context, host string) ([]string, error) {
	return []string{host}, nil
}

func TestForeign(t *testing.T) {
	r := newRecorder(t)
	foreign.TraceStore(&everything{}, r).Load(r.ctx, "k")
	addrs, err := foreign.TraceResolver(resolver{}, r).LookupHost(r.ctx, "h")
	if len(addrs) != 1 || err != nil {
		t.Errorf("LookupHost returned %v, %v", addrs, err)
	}
	r.want(t, "foreign",
		span{Name: "Store.Load", Kind: trace.SpanKindClient, Attrs: attrs{"key": "k", "empty": false, "key.type": "x"}},
		span{Name: "Resolver.LookupHost"},
	)
}

func TestStructs(t *testing.T) {
	r := newRecorder(t)
	client := &structs.Client{}
	svc := structs.TraceClient(client, r)
	svc.Get(r.ctx, "x")
	svc.Promoted(r.ctx)
	svc.Lock()
	if client.TryLock() || svc.Close() != nil || len(client.Log) != 1 {
		t.Error("delegation is broken")
	}
	cache := structs.TraceCache[string, int](&structs.Cache[string, int]{M: map[string]int{"a": 1}}, r)
	if !cache.Get(r.ctx, "a") {
		t.Error("Get returned false")
	}
	r.want(t, "structs",
		span{Name: "Client.Get", Kind: trace.SpanKindClient, Attrs: attrs{"id": "x"}},
		span{Name: "promoted", Kind: trace.SpanKindClient},
		span{Name: "Cache.Get", Attrs: attrs{"found": true}},
	)
}

type twin struct{}

func (twin) Do(context.Context) error { return nil }

type failing struct{}

func (failing) Do(context.Context, bool) error { return io.EOF }

type elsewhere struct{}

func (elsewhere) Do(context.Context, string) error { return io.EOF }

// TestFail checks that -fail has the last word on errors.
func TestFail(t *testing.T) {
	r := newRecorder(t)
	several.TraceFailing(failing{}, r).Do(r.ctx, true)
	several.TraceElsewhere(elsewhere{}, r).Do(r.ctx, "x")
	r.want(t, "several",
		span{Name: "Failing.Do", Status: codes.Error, Desc: "EOF", Attrs: attrs{"failed": true}},
		span{Name: "Elsewhere.Do", Status: codes.Error, Desc: "store: EOF"},
	)
}

func TestSeveral(t *testing.T) {
	r := newRecorder(t)
	several.Instrument(twin{}, r).Do(r.ctx)
	several.TracePlain(twin{}, r).Do(r.ctx)
	several.TraceStore(&everything{}, r).Save(r.ctx, "", nil)
	r.want(t, "several", span{Name: "Twin.Do"}, span{Name: "plainly"}, span{Name: "Store.Save", Kind: trace.SpanKindClient})
}

type fault struct{ code int }

func (f *fault) Error() string { return fmt.Sprint("fault ", f.code) }
func (f *fault) Code() int     { return f.code }

// shapes is a mixed.Service that notes what it was called with.
type shapes struct {
	got   []any
	reply *mixed.User
	err   error
	fault mixed.Fault
}

func (s *shapes) note(args ...any)                           { s.got = args }
func (s *shapes) Nothing(context.Context)                    { s.note() }
func (s *shapes) NoError(context.Context) int                { return 42 }
func (s *shapes) NoContext(id string) error                  { s.note(id); return s.err }
func (s *shapes) Request(*http.Request) error                { return s.err }
func (s *shapes) Aliases(c mixed.Ctx, arg string) error      { s.note(arg); return s.err }
func (s *shapes) Errors(context.Context) (error, int, error) { return io.EOF, 1, s.err }

func (s *shapes) Variadic(_ context.Context, format string, args ...any) error {
	s.note(args...)
	return s.err
}

func (s *shapes) Second(id string, ctx mixed.OwnCtx, other context.Context) mixed.Fault {
	s.note(trace.SpanContextFromContext(ctx).SpanID() != trace.SpanContextFromContext(other).SpanID())
	return s.fault
}

func (s *shapes) Kinds(_ context.Context, name mixed.Name, flag mixed.Flag, count mixed.Count, small mixed.Small, big mixed.Big, ratio mixed.Ratio, names mixed.Names, colour mixed.Colour) {
}

func (s *shapes) Slices(context.Context, []int, []int64, []float64, []bool, *url.URL, net.IP) {}

func (s *shapes) Guards(context.Context, *mixed.Request) (*mixed.User, error) { return s.reply, s.err }

// shapesService gives shapes the one method whose types can be written only in
// package mixed.
type shapesService struct {
	*shapes
	mixed.Service
}

func (s shapesService) Nothing(ctx context.Context)     { s.shapes.Nothing(ctx) }
func (s shapesService) NoError(ctx context.Context) int { return s.shapes.NoError(ctx) }

func (s shapesService) NoContext(id string) error                    { return s.shapes.NoContext(id) }
func (s shapesService) Request(r *http.Request) error                { return s.shapes.Request(r) }
func (s shapesService) Aliases(c mixed.Ctx, a string) error          { return s.shapes.Aliases(c, a) }
func (s shapesService) Errors(c context.Context) (error, int, error) { return s.shapes.Errors(c) }
func (s shapesService) Variadic(c context.Context, f string, a ...any) error {
	return s.shapes.Variadic(c, f, a...)
}

func (s shapesService) Second(id string, a mixed.OwnCtx, b context.Context) mixed.Fault {
	return s.shapes.Second(id, a, b)
}

func (s shapesService) Kinds(context.Context, mixed.Name, mixed.Flag, mixed.Count, mixed.Small, mixed.Big, mixed.Ratio, mixed.Names, mixed.Colour) {
}

func (s shapesService) Slices(context.Context, []int, []int64, []float64, []bool, *url.URL, net.IP) {
}

func (s shapesService) Guards(c context.Context, r *mixed.Request) (*mixed.User, error) {
	return s.shapes.Guards(c, r)
}

func TestMixed(t *testing.T) {
	_ = unsafe.Pointer(nil)
	r := newRecorder(t)
	inner := &shapes{}
	svc := mixed.TraceService(shapesService{shapes: inner}, r)

	svc.Nothing(r.ctx)
	if svc.NoError(r.ctx) != 42 {
		t.Error("NoError returned something else")
	}
	svc.Variadic(r.ctx, "%d", 1, 2, 3)
	if len(inner.got) != 3 {
		t.Errorf("variadic arguments %v", inner.got)
	}
	svc.Aliases(r.ctx, "s")
	r.want(t, "mixed", span{Name: "Service.Nothing"}, span{Name: "Service.NoError"}, span{Name: "Service.Variadic"}, span{Name: "Service.Aliases"})

	svc.NoContext("x")
	r.want(t, "mixed")

	// The first context is the span's parent; an interface with the method of
	// error is an error. -record-errors adds the event.
	inner.fault = &fault{7}
	if f := svc.Second("x", r.ctx, r.ctx); f.Code() != 7 || inner.got[0] != true {
		t.Errorf("Second returned %v, contexts differ: %v", f, inner.got)
	}
	inner.err = io.ErrClosedPipe
	if first, n, second := svc.Errors(r.ctx); first != io.EOF || n != 1 || second != inner.err {
		t.Errorf("Errors returned %v, %d, %v", first, n, second)
	}
	r.want(t, "mixed",
		span{Name: "Service.Second", Status: codes.Error, Desc: "fault 7", Attrs: attrs{"error.type": "*exec.fault"}, Events: []string{"exception"}},
		span{Name: "Service.Errors", Status: codes.Error, Desc: "io: read/write on closed pipe", Attrs: attrs{"error.type": "*errors.errorString"}, Events: []string{"exception"}},
	)
}

func TestAttributeKinds(t *testing.T) {
	r := newRecorder(t)
	svc := mixed.TraceService(shapesService{shapes: &shapes{}}, r)
	svc.Kinds(r.ctx, "n", true, 4, 65535, -1, 0.5, mixed.Names{"a", "b"}, 1)
	svc.Slices(r.ctx, []int{1}, []int64{2}, []float64{3}, []bool{true, false}, nil, nil)
	svc.Slices(r.ctx, nil, nil, nil, nil, &url.URL{Scheme: "http", Host: "h"}, net.IPv4(1, 2, 3, 4))
	r.want(t, "mixed",
		span{Name: "Service.Kinds", Attrs: attrs{
			"name": "n", "flag": true, "count": int64(4), "small": int64(65535), "big": int64(-1), "ratio": 0.5,
			"names": []string{"a", "b"}, "colour": int64(1), "colour.name": "green",
			"const.float": 1.5, "const.rune": int64('x'), "const.bool": false,
		}},
		span{Name: "Service.Slices", Attrs: attrs{
			"ints": []int64{1}, "int64s": []int64{2}, "floats": []float64{3}, "bools": []bool{true, false},
			"made": []string{"a", "\x01"}, "ip": "<nil>", "max": int64(2),
		}},
		span{Name: "Service.Slices", Attrs: attrs{
			"ints": []int64{}, "int64s": []int64{}, "floats": []float64{}, "bools": []bool{},
			"made": []string{"a", "\x00"}, "url": "http://h", "ip": "1.2.3.4", "max": int64(0),
		}},
	)
}

func TestGuards(t *testing.T) {
	always := attrs{"named": false, "anonymous": true, "deadline": false, "failed": false}
	with := func(more attrs) attrs {
		all := attrs{}
		for _, m := range []attrs{always, more} {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	for _, tt := range []struct {
		request *mixed.Request
		reply   *mixed.User
		err     error
		want    span
	}{
		{nil, nil, nil, span{Attrs: always}},
		{&mixed.Request{}, nil, nil, span{Attrs: with(attrs{"x": int64(0), "ip": "<nil>", "meta": ""})}},
		{
			&mixed.Request{
				Base: &mixed.Base{Trace: "t"}, User: &mixed.User{Name: "Ann"}, Tags: []string{"a", "b"}, Point: [2]int{3, 4},
				Array: &[3]string{2: "c"}, Check: func(n int) bool { return n == 1 }, IP: net.IPv4zero, Meta: map[string]string{"k": "v"},
			},
			&mixed.User{Name: "Bob"}, nil,
			span{Attrs: with(attrs{
				"x": int64(3), "ip": "0.0.0.0", "meta": "v", "user": "Ann", "trace": "t", "kind": "base t", "tag": "b",
				"array": "c", "check": true, "literal": "a", "named": true, "anonymous": false, "reply": "Bob",
			})},
		},
		{
			&mixed.Request{Tags: []string{"a"}, Check: func(n int) bool { return n == 2 }}, &mixed.User{Name: "meaningless"}, io.EOF,
			span{Attrs: with(attrs{
				"x": int64(0), "ip": "<nil>", "meta": "", "check": false, "literal": "a", "failed": true, "message": "EOF",
			})},
		},
		{
			nil, nil, io.EOF,
			span{Status: codes.Error, Desc: "EOF", Events: []string{"exception"}, Attrs: with(attrs{
				"failed": true, "message": "EOF", "error.type": "*errors.errorString",
			})},
		},
	} {
		r := newRecorder(t)
		svc := mixed.TraceService(shapesService{shapes: &shapes{reply: tt.reply, err: tt.err}}, r)
		ctx, cancel := context.WithCancel(r.ctx)
		reply, err := svc.Guards(ctx, tt.request)
		cancel()
		if reply != tt.reply || err != tt.err {
			t.Errorf("Guards returned %v, %v", reply, err)
		}
		tt.want.Name = "Service.Guards"
		r.want(t, "mixed", tt.want)
	}
}

// TestDeadline checks that an attribute sees the caller's context.
func TestDeadline(t *testing.T) {
	r := newRecorder(t)
	ctx, cancel := context.WithTimeout(r.ctx, time.Hour)
	defer cancel()
	mixed.TraceService(shapesService{shapes: &shapes{}}, r).Guards(ctx, nil)
	if got := r.take()[0].Attrs["deadline"]; got != true {
		t.Errorf("deadline is %v", got)
	}
}
