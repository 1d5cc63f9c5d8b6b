package exec

import (
	"context"
	"io"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"

	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/names"
)

// named is a names.Store; the unexported methods it must have are promoted.
type named struct {
	names.Store
	got []any
	err error
}

func (n *named) note(args ...any) { n.got = args }

func (n *named) Unnamed(_ context.Context, a string, b ...int) (int, error) {
	n.note(a, len(b))
	return len(b), n.err
}

func (n *named) Referred(_ context.Context, a string, b []int) (int, error) {
	return len(a) + len(b), n.err
}

func (n *named) Blank(_ context.Context, a string, b int) (string, error) {
	n.note(a, b)
	return a, n.err
}

func (n *named) Later(a string, _ context.Context) error { n.note(a); return n.err }

func (n *named) Named(_ context.Context, _ time.Time, _ io.Writer, s string, x int) (bool, error) {
	n.note(s, x)
	return true, n.err
}

func (n *named) Shadow(_ context.Context, a int, s string) (bool, bool, error) {
	return a == 1, s == "s", n.err
}

func (n *named) Words(_ context.Context, a []int, e error, b, c string, d bool) { n.note(b, c, d) }

func (n *named) Context(_ context.Context, s string) (string, int, error) { return s, 1, n.err }

func (n *named) Numbered(_ context.Context, a string, b int) (int, string) { return b, a }

func (n *named) Types(context.Context, time.Duration, string) (int, int, int) { return 1, 2, 3 }

func TestNames(t *testing.T) {
	r := newRecorder(t)
	inner := &named{}
	svc := names.TraceStore(inner, r)
	check := func(ok bool, what ...any) {
		t.Helper()
		if !ok {
			t.Error(what...)
		}
	}

	n, err := svc.Unnamed(r.ctx, "a", 1, 2)
	check(n == 2 && err == nil && inner.got[0] == "a", n, err, inner.got)
	n, err = svc.Referred(r.ctx, "ab", []int{1})
	check(n == 3 && err == nil, n, err)
	s, err := svc.Blank(r.ctx, "a", 7)
	check(s == "a" && err == nil && inner.got[1] == 7, s, err, inner.got)
	check(svc.Later("z", r.ctx) == nil && inner.got[0] == "z", inner.got)
	a, b, err := svc.Shadow(r.ctx, 1, "s")
	check(a && b && err == nil, a, b, err)
	svc.Words(r.ctx, []int{1, 2}, names.ErrGone, "x", "y", true)
	check(inner.got[0] == "x" && inner.got[1] == "y" && inner.got[2] == true, inner.got)
	s, n, err = svc.Context(r.ctx, "c")
	check(s == "c" && n == 1 && err == nil, s, n, err)
	n, s = svc.Numbered(r.ctx, "d", 9)
	check(n == 9 && s == "d", n, s)
	x, y, z := svc.Types(r.ctx, time.Second, "")
	check(x == 1 && y == 2 && z == 3, x, y, z)
	r.want(t, "names",
		span{Name: "Store.Unnamed"},
		span{Name: "Store.Referred", Attrs: attrs{"id": "ab", "n": int64(1), "got": int64(3)}},
		span{Name: "Store.Blank"},
		span{Name: "Store.Later"},
		span{Name: "Store.Shadow", Attrs: attrs{"len": int64(1), "string": "s"}},
		span{Name: "Store.Words", Attrs: attrs{"nil": int64(2), "error": true, "attribute2": "xy"}},
		span{Name: "Store.Context"},
		span{Name: "Store.Numbered"},
		span{Name: "Store.Types", Attrs: attrs{"seconds": 1.0}},
	)

	inner.err = names.ErrGone
	done, err := svc.Named(r.ctx, time.Time{}, nil, "s", 1)
	check(done && err == names.ErrGone, done, err)
	r.want(t, "names", span{Name: "Store.Named"})
	svc.Later("z", r.ctx)
	r.want(t, "names", span{
		Name: "Store.Later", Status: codes.Error, Desc: "gone", Attrs: attrs{"error.type": "*errors.errorString"},
	})
}
