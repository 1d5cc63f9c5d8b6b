package tracing

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// NewLogHandler returns a handler that adds trace_id, span_id and trace_flags of the span in a record's context and
// passes the record to next. The ids stand at the top level also when the logger has groups. Records without a span,
// or logged without a context, are passed on as they are.
func NewLogHandler(next slog.Handler) slog.Handler { return &logHandler{next: next, root: next} }

type logHandler struct {
	next slog.Handler
	// root and replay are next before the first group, and what was added since, for ids outside the groups.
	root   slog.Handler
	replay []func(slog.Handler) slog.Handler
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return h.next.Handle(ctx, r)
	}
	ids := [...]slog.Attr{
		slog.String("trace_id", sc.TraceID().String()),
		slog.String("span_id", sc.SpanID().String()),
		slog.String("trace_flags", sc.TraceFlags().String()),
	}
	if len(h.replay) == 0 {
		r = r.Clone()
		r.AddAttrs(ids[:]...)
		return h.next.Handle(ctx, r)
	}
	next := h.root.WithAttrs(ids[:])
	for _, add := range h.replay {
		next = add(next)
	}
	return next.Handle(ctx, r)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	c := &logHandler{next: h.next.WithAttrs(attrs), root: h.root, replay: h.replay}
	if len(h.replay) == 0 {
		c.root = c.next
		return c
	}
	c.replay = append(h.replay[:len(h.replay):len(h.replay)], func(n slog.Handler) slog.Handler { return n.WithAttrs(attrs) })
	return c
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &logHandler{
		next: h.next.WithGroup(name),
		root: h.root,
		replay: append(h.replay[:len(h.replay):len(h.replay)],
			func(n slog.Handler) slog.Handler { return n.WithGroup(name) }),
	}
}
