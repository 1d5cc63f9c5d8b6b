package errorstatus

import (
	"context"
	"errors"
	"fmt"
	"io"

	"example.com/shop/errorstatus/helpers"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

var tracer = otel.Tracer("example.com/shop/errorstatus")

var (
	load        = func(ctx context.Context, id string) (string, error) { return "", nil }
	save        = func(ctx context.Context, text string) error { return nil }
	errNotFound = errors.New("not found")
	errEmpty    = errors.New("empty")
)

func unset(ctx context.Context, id string) (string, error) {
	ctx, span := tracer.Start(ctx, "unset") // want `span "unset" stays unset when an error is returned \(lines 29, 32\): call SetStatus or RecordError`
	defer span.End()
	text, err := load(ctx, id)
	if err != nil {
		return "", err
	}
	if err := save(ctx, text); err != nil {
		return "", err
	}
	return text, nil
}

func named(ctx context.Context, id string) (text string, err error) {
	ctx, span := tracer.Start(ctx, "named") // want `span "named" stays unset when an error is returned \(line 42\)`
	defer span.End()
	text, err = load(ctx, id)
	if err != nil {
		return text, fmt.Errorf("loading %q: %w", id, err)
	}
	return
}

func bare(ctx context.Context, id string) (text string, err error) {
	ctx, span := tracer.Start(ctx, "bare") // want `span "bare" stays unset when an error is returned \(line 51\)`
	defer span.End()
	if text, err = load(ctx, id); err != nil {
		return
	}
	return text, nil
}

// No fix: the call's error is in no variable.
func tail(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "tail") // want `span "tail" stays unset when an error is returned \(line 60\)`
	defer span.End()
	return save(ctx, text)
}

// No fix: one path sets the status in its author's own way.
func half(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "half") // want `span "half" stays unset when an error is returned \(line 72\)`
	defer span.End()
	if err := save(ctx, text); err != nil {
		span.SetStatus(codes.Error, err.Error())
		return err
	}
	if text == "" {
		return errEmpty
	}
	return nil
}

func closure(text string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, span := tracer.Start(ctx, "closure") // want `span "closure" stays unset when an error is returned \(line 82\)`
		defer span.End()
		if err := save(ctx, text); err != nil {
			return err
		}
		return nil
	}
}

func helperWithoutStatus(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "note") // want `span "note" stays unset`
	defer span.End()
	if err := save(ctx, text); err != nil {
		return helpers.Note(ctx, err)
	}
	return nil
}

func set(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "set")
	defer span.End()
	if err := save(ctx, text); err != nil {
		span.RecordError(err)
		return err
	}
	return nil
}

func setBeforeOneReturn(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "set before")
	defer span.End()
	err := save(ctx, text)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

func deferred(ctx context.Context, text string) (err error) {
	ctx, span := tracer.Start(ctx, "deferred")
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	return save(ctx, text)
}

func finish(span trace.Span, err *error) {
	if *err != nil {
		span.RecordError(*err)
	}
	span.End()
}

func finished(ctx context.Context, text string) (err error) {
	ctx, span := tracer.Start(ctx, "finished")
	defer finish(span, &err)
	return save(ctx, text)
}

func byHelper(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "by helper")
	defer span.End()
	if err := save(ctx, text); err != nil {
		return helpers.Failed(ctx, err)
	}
	return nil
}

func byContext(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "by context")
	defer span.End()
	if err := save(ctx, text); err != nil {
		trace.SpanFromContext(ctx).RecordError(err)
		return err
	}
	return nil
}

func pickedOut(ctx context.Context, id string) (string, error) {
	ctx, span := tracer.Start(ctx, "picked out")
	defer span.End()
	text, err := load(ctx, id)
	if errors.Is(err, errNotFound) {
		return "", errNotFound
	}
	if err == io.EOF {
		return "", err
	}
	if err != nil {
		span.RecordError(err)
		return "", err
	}
	return text, nil
}

func recording(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "recording")
	defer span.End()
	err := save(ctx, text)
	if err != nil && span.IsRecording() {
		span.RecordError(err)
	}
	return err
}

func beforeStart(ctx context.Context, text string) error {
	if text == "" {
		return errNotFound
	}
	ctx, span := tracer.Start(ctx, "before start")
	defer span.End()
	if err := save(ctx, text); err == nil {
		return nil
	} else {
		span.RecordError(err)
		return err
	}
}

func afterEnd(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "after end")
	_, _ = load(ctx, text)
	span.End()
	if text == "" {
		return errNotFound
	}
	return nil
}

func iterate(ctx context.Context, next func() (string, error)) error {
	ctx, span := tracer.Start(ctx, "iterate")
	defer span.End()
	for {
		text, err := next()
		if err == io.EOF {
			return io.EOF
		}
		if err != nil {
			span.RecordError(err)
			return err
		}
		if err := save(ctx, text); err != nil {
			span.RecordError(err)
			return err
		}
	}
}

func outcome(ctx context.Context, texts map[string]string, id string) (string, error) {
	ctx, span := tracer.Start(ctx, "outcome")
	defer span.End()
	text, ok := texts[id]
	if !ok {
		return "", errNotFound
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	default:
		return text, nil
	}
}

// No fix: the span has ended before the return.
func endedInBranch(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "ended in branch") // want `span "ended in branch" stays unset when an error is returned`
	if err := save(ctx, text); err != nil {
		span.End()
		return err
	}
	span.End()
	return save(ctx, text)
}

type operation struct {
	span trace.Span
}

func kept(ctx context.Context, text string) (*operation, error) {
	ctx, span := tracer.Start(ctx, "kept")
	return &operation{span: span}, save(ctx, text)
}

// No fix: its author has a helper for it.
func halfByHelper(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "half by helper") // want `span "half by helper" stays unset when an error is returned`
	defer span.End()
	if err := save(ctx, text); err != nil {
		return err
	}
	if _, err := load(ctx, text); err != nil {
		helpers.Trace(span, err)
		return err
	}
	return nil
}

func wholeByHelper(ctx context.Context, text string) error {
	ctx, span := tracer.Start(ctx, "whole by helper")
	defer span.End()
	if err := save(ctx, text); err != nil {
		helpers.Trace(span, err)
		return err
	}
	return nil
}
