package tracing_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"

	tracing "github.com/throughline/throughline/tracing/go"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// TestLogHandler: the ids of the span in the context, at the top level whatever the groups.
func TestLogHandler(t *testing.T) {
	r := tracingtest.NewRecorder()
	ctx, span := r.TracerProvider().Tracer("t").Start(t.Context(), "s")
	defer span.End()
	unsampled := tracing.TraceContext{}.Extract(t.Context(), mapCarrier{"traceparent": remoteUnsampled})
	const ids = `"trace_id":"00000000000000000000000000000001","span_id":"0000000000000001","trace_flags":"01"`
	for name, c := range map[string]struct {
		log  func(*slog.Logger)
		want string
	}{
		"span":    {func(l *slog.Logger) { l.InfoContext(ctx, "m", "k", 1) }, `{"msg":"m","k":1,` + ids + `}`},
		"no span": {func(l *slog.Logger) { l.InfoContext(t.Context(), "m", "k", 1) }, `{"msg":"m","k":1}`},
		"no ctx":  {func(l *slog.Logger) { l.Info("m") }, `{"msg":"m"}`},
		"unsampled": {
			func(l *slog.Logger) { l.InfoContext(unsampled, "m") },
			`{"msg":"m","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","trace_flags":"00"}`,
		},
		"with": {func(l *slog.Logger) { l.With("a", 1).InfoContext(ctx, "m", "k", 2) }, `{"msg":"m","a":1,"k":2,` + ids + `}`},
		"group": {
			func(l *slog.Logger) { l.With("a", 1).WithGroup("g").With("b", 2).InfoContext(ctx, "m", "k", 3) },
			`{"msg":"m","a":1,` + ids + `,"g":{"b":2,"k":3}}`,
		},
		"groups": {
			func(l *slog.Logger) {
				l.WithGroup("g").WithGroup("h").With("b", 2).WithGroup("i").InfoContext(ctx, "m", "k", 3)
			},
			`{"msg":"m",` + ids + `,"g":{"h":{"b":2,"i":{"k":3}}}}`,
		},
		"group without a span": {func(l *slog.Logger) { l.WithGroup("g").Info("m", "k", 3) }, `{"msg":"m","g":{"k":3}}`},
		"nothing added":        {func(l *slog.Logger) { l.WithGroup("").With().InfoContext(ctx, "m") }, `{"msg":"m",` + ids + `}`},
		"below the level":      {func(l *slog.Logger) { l.DebugContext(ctx, "m") }, ``},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			c.log(slog.New(tracing.NewLogHandler(slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: noTime}))))
			if got := strings.TrimSpace(b.String()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func noTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return a
}

// TestLogHandlerSiblings: loggers made of one do not share what they add.
func TestLogHandlerSiblings(t *testing.T) {
	r := tracingtest.NewRecorder()
	ctx, span := r.TracerProvider().Tracer("t").Start(context.Background(), "s")
	defer span.End()
	var b bytes.Buffer
	base := slog.New(tracing.NewLogHandler(slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: noTime}))).WithGroup("g").With("a", 1)
	one, two := base.With("one", 1), base.With("two", 2)
	one.InfoContext(ctx, "m")
	two.InfoContext(ctx, "m")
	if got := b.String(); strings.Count(got, "one") != 1 || strings.Count(got, "two") != 1 {
		t.Errorf("log %s", got)
	}
}

// TestLogHandlerIsAHandler runs the standard library's conformance test, with a span and without.
func TestLogHandlerIsAHandler(t *testing.T) {
	l := &lines{}
	if err := slogtest.TestHandler(tracing.NewLogHandler(slog.NewJSONHandler(l, nil)), l.records); err != nil {
		t.Error(err)
	}
}
