package clienttransport

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
)

var tracer = otel.Tracer("example.com/shop/clienttransport")

func traced(ctx context.Context, f func(context.Context)) {
	ctx, span := tracer.Start(ctx, "traced")
	defer span.End()
	f(ctx)
}

func plain() []*http.Client {
	return []*http.Client{
		{},                                 // want `this http.Client sends no trace context`
		{Timeout: 10 * time.Second},        // want `this http.Client sends no trace context`
		{Transport: http.DefaultTransport}, // want `this http.Client sends no trace context`
		{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}, // want `this http.Client sends no trace context`
		{Transport: otelhttp.NewTransport(http.DefaultTransport)},
	}
}

func defaultClient(req *http.Request) {
	_, _ = http.DefaultClient.Do(req) // want `http.DefaultClient sends no trace context`
}

func setLater(rt http.RoundTripper) *http.Client {
	c := &http.Client{Timeout: time.Second}
	c.Transport = rt
	return c
}

func given(rt http.RoundTripper) *http.Client {
	return &http.Client{Transport: rt}
}
