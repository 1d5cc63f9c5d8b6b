package tracing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Fail marks span as failed by err: status Error with err's message, and error.type. A nil err changes nothing, and a
// cancellation ([context.Canceled]) neither: the caller went away, nothing was wrong here. No event is recorded,
// because the same error passes through the spans of all its callers.
func Fail(span trace.Span, err error) {
	if err == nil || !span.IsRecording() || errors.Is(err, context.Canceled) {
		return
	}
	span.SetStatus(codes.Error, err.Error())
	span.SetAttributes(errorType(err))
}

// errorType is the attribute error.type of err: "timeout", what its method ErrorType says, or its type.
func errorType(err error) attribute.KeyValue {
	var named interface{ ErrorType() string }
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &named):
		return semconv.ErrorType(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return semconv.ErrorTypeKey.String("timeout")
	}
	return semconv.ErrorType(rootCause(err))
}

// rootCause is the innermost error of a chain that has a type of its own: a *net.OpError tells less about the fault than
// the syscall.Errno it holds, but more than an error that is only text.
func rootCause(err error) error {
	cause := err
	for range 32 {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			break
		}
		if err = u.Unwrap(); err == nil {
			break
		}
		if t := reflect.TypeOf(err); t != textError && t != wrapError {
			cause = err
		} else if t := reflect.TypeOf(cause); t == wrapError {
			cause = err
		}
	}
	return cause
}

var (
	textError = reflect.TypeOf(errors.New(""))
	wrapError = reflect.TypeOf(fmt.Errorf("%w", errors.New("")))
)

// recordPanic marks span as failed by the panic value v, with the stack in an exception event, because a panic's stack
// is seen nowhere else once it has passed. The caller panics on.
func recordPanic(span trace.Span, v any) {
	if !span.IsRecording() {
		return
	}
	typ := reflect.TypeOf(v).String()
	message := fmt.Sprint(v)
	span.AddEvent(semconv.ExceptionEventName, trace.WithAttributes(
		semconv.ExceptionType(typ),
		semconv.ExceptionMessage(message),
		semconv.ExceptionStacktrace(string(debug.Stack())),
	))
	span.SetStatus(codes.Error, "panic: "+message)
	span.SetAttributes(semconv.ErrorTypeKey.String(typ))
}
