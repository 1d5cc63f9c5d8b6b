// Package mixed has every shape of signature and every type of attribute.
package mixed

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"
	"unsafe"
)

// Named types of every kind.
type (
	Name   string
	Flag   bool
	Count  int
	Small  uint16
	Big    int64
	Ratio  float32
	Names  []string
	Colour int
	Ctx    context.Context
	OwnCtx interface{ context.Context }
	Fault  interface {
		error
		Code() int
	}
)

func (c Colour) String() string { return [...]string{"red", "green"}[c] }

// Request is nested.
type Request struct {
	*Base
	User  *User
	Tags  []string
	Point [2]int
	Array *[3]string
	Check func(int) bool
	IP    net.IP
	Meta  map[string]string
}

// Base is embedded.
type Base struct{ Trace string }

// Kind has a pointer receiver.
func (b *Base) Kind() string { return "base " + b.Trace }

// User is a user.
type User struct{ Name string }

//go:generate go tool tracegen -iface Service -record-errors

// Service has every shape of signature.
type Service interface {
	Nothing(ctx context.Context)
	NoError(ctx context.Context) int
	Variadic(ctx context.Context, format string, args ...any) error
	Aliases(c Ctx, s string) error
	Second(id string, ctx OwnCtx, other context.Context) Fault
	Errors(ctx context.Context) (first error, n int, second error)
	Literals(ctx context.Context, s struct {
		A, b int
		C    string `json:"c"`
		time.Duration
	}, i interface {
		M(x int) (y int)
		error
	}, f func(w http.ResponseWriter, _ *http.Request) (n int, err error), m map[[2]string][]*url.URL, p unsafe.Pointer,
	) (any, error)
	NoContext(id string) error
	Request(r *http.Request) error

	//trace:attr name=name
	//trace:attr flag=flag
	//trace:attr count=count
	//trace:attr small=small
	//trace:attr big=big
	//trace:attr ratio=ratio
	//trace:attr names=names
	//trace:attr colour=colour
	//trace:attr colour.name=colour.String()
	//trace:attr const.float=1.5
	//trace:attr const.rune='x'
	//trace:attr const.bool=count > 3 && !bool(flag)
	Kinds(ctx context.Context, name Name, flag Flag, count Count, small Small, big Big, ratio Ratio, names Names, colour Colour)

	//trace:attr ints=ints
	//trace:attr int64s=int64s
	//trace:attr floats=floats
	//trace:attr bools=bools
	//trace:attr made=[]string{"a", string(rune(len(ints)))}
	//trace:attr url=u
	//trace:attr ip=ip
	//trace:attr max=max(len(ints), len(bools))
	Slices(ctx context.Context, ints []int, int64s []int64, floats []float64, bools []bool, u *url.URL, ip net.IP)

	//trace:attr user=r.User.Name
	//trace:attr trace=r.Trace
	//trace:attr kind=r.Kind()
	//trace:attr tag=r.Tags[1]
	//trace:attr x=r.Point[0]
	//trace:attr array=r.Array[2]
	//trace:attr check=r.Check(1)
	//trace:attr ip=r.IP
	//trace:attr meta=r.Meta["k"]
	//trace:attr named=r != nil && r.User != nil && r.User.Name != ""
	//trace:attr anonymous=r == nil || r.User == nil || r.User.Name == ""
	//trace:attr deadline=deadline(ctx)
	//trace:attr failed=err != nil
	//trace:attr message=err.Error()
	//trace:attr reply=(*reply).Name
	//trace:attr literal=Request{Tags: r.Tags}.Tags[0]
	//trace:attr nowhere=Request{}.User.Name
	//trace:ignore-error r.Check(2) || err.Error() == "fine"
	//trace:ignore-error Matcher{}.Match(err) && r.Check(3) == true
	//trace:ignore-error Matcher{}.Match(err)
	//trace:ignore-error errors.Is(err, Never{})
	Guards(ctx context.Context, r *Request) (reply *User, err error)
}

func deadline(ctx context.Context) bool {
	_, ok := ctx.Deadline()
	return ok
}

// Matcher matches no errors.
type Matcher struct{}

// Match is a method of a literal.
func (Matcher) Match(error) bool { return false }

// Never is an error that does not occur.
type Never struct{}

func (Never) Error() string { return "never" }
