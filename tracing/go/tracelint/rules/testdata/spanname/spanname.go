package spanname

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"example.com/shop/spanname/names"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

var tracer = otel.Tracer("example.com/shop/spanname")

const prefix = "articles."

type operation string

const (
	read  operation = "read"
	write operation = "write"
)

type item struct {
	ID    string
	Owner owner
	Kind  string
}

type owner struct{ userID int }

func (o owner) GetUserID() string { return strconv.Itoa(o.userID) }

type itemID [16]byte

func (i itemID) String() string { return fmt.Sprintf("%x", i[:]) }

func paths(ctx context.Context, r *http.Request) {
	tracer.Start(ctx, r.URL.Path)                            // want `span name is built from r.URL.Path: use a constant or the route, and an attribute for the value`
	tracer.Start(ctx, r.Method+" "+r.URL.Path)               // want `built from r.URL.Path`
	tracer.Start(ctx, r.RequestURI)                          // want `built from r.RequestURI`
	tracer.Start(ctx, r.URL.String())                        // want `built from r.URL.String\(\)`
	tracer.Start(ctx, fmt.Sprintf("%s %s", r.Method, r.URL)) // want `built from r.URL`
	tracer.Start(ctx, strings.ToLower(r.URL.EscapedPath()))  // want `built from r.URL.EscapedPath\(\)`
	name := fmt.Sprintf("HTTP %s %s", r.Method, r.URL.Path)
	ctx, span := tracer.Start(ctx, name) // want `built from r.URL.Path`
	span.SetName("GET " + r.URL.Path)    // want `built from r.URL.Path`
	_ = ctx
}

func ids(ctx context.Context, id string, i item, key itemID, vars map[string]string, n int) {
	tracer.Start(ctx, "get "+id)                           // want `built from id`
	tracer.Start(ctx, fmt.Sprintf("get %s", i.ID))         // want `built from i.ID`
	tracer.Start(ctx, "get "+i.Owner.GetUserID())          // want `built from i.Owner.GetUserID\(\)`
	tracer.Start(ctx, "get "+strconv.Itoa(i.Owner.userID)) // want `built from i.Owner.userID`
	tracer.Start(ctx, "get "+key.String())                 // want `built from key.String\(\)`
	tracer.Start(ctx, "get "+vars["id"])                   // want `built from vars\["id"\]`
}

func helpers(ctx context.Context, articleID string) {
	_, span := names.Begin(ctx, "articles", "get "+articleID) // want `built from articleID`
	span.End()
	names.In(ctx, articleID, func(context.Context) {}) // want `built from articleID`
	names.In(ctx, "articles", func(context.Context) {})
}

func formatter(h http.Handler) http.Handler {
	return otelhttp.NewHandler(h, "server", otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
		return r.Method + " " + r.URL.Path // want `built from r.URL.Path`
	}))
}

func fine(ctx context.Context, r *http.Request, i item, op operation, route string, err error, n int) {
	tracer.Start(ctx, "get article")
	tracer.Start(ctx, prefix+"get")
	tracer.Start(ctx, r.Method+" "+r.Pattern)
	tracer.Start(ctx, r.Method+" "+route)
	tracer.Start(ctx, string(op))
	tracer.Start(ctx, "store."+string(read))
	tracer.Start(ctx, fmt.Sprintf("%T", i))
	tracer.Start(ctx, "load "+i.Kind)
	key := "union"
	if n > 1 {
		key = "intersection"
	}
	func() {
		tracer.Start(ctx, key)
	}()
	tracer.Start(ctx, "get", trace.WithAttributes())
}

// begin hands the name on: its callers are judged.
func begin(ctx context.Context, name string) (context.Context, trace.Span) {
	return tracer.Start(ctx, name)
}

func callsBegin(ctx context.Context, r *http.Request) {
	begin(ctx, "fine")
	begin(ctx, r.URL.Path) // want `built from r.URL.Path`
}

func get(ctx context.Context, id string) {
	tracer.Start(ctx, "get "+id) // want `built from id`
}

func callsGet(ctx context.Context, articleID string) {
	get(ctx, articleID) // reported where the name is built
}
