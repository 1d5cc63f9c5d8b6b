package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Open returns the client of a server. Unless the kind is told it asks the server.
func Open(ctx context.Context, o Options) (Client, error) {
	r, err := newRemote(o)
	if err != nil {
		return nil, err
	}
	kind := o.Kind
	if kind == "" {
		if kind, err = detect(ctx, r); err != nil {
			return nil, err
		}
	}
	switch kind {
	case KindThroughline:
		return &throughline{r: r, tempo: tempo{r: r.under("tempo"), kind: KindThroughline}}, nil
	case KindTempo:
		return &tempo{r: r, kind: KindTempo}, nil
	case KindJaeger:
		return &jaeger{r: r}, nil
	}
	return nil, fmt.Errorf("kind %q: want throughline, tempo or jaeger", kind)
}

// detect asks for what only one kind of server answers. Their web UIs answer
// paths that they do not know with a page, so that a status alone says nothing.
func detect(ctx context.Context, r *remote) (Kind, error) {
	var native struct {
		Version   *string
		Receivers []any
	}
	errNative := r.get(ctx, "api/native/v1/status", nil, &native)
	if errNative == nil && native.Version != nil && native.Receivers != nil {
		return KindThroughline, nil
	}
	if _, ok := errors.AsType[*unreachableError](errNative); ok {
		return "", errNative
	}
	echo, errTempo := r.read(ctx, "*/*", "api/echo", nil)
	if errTempo == nil && strings.TrimSpace(string(echo)) == "echo" {
		return KindTempo, nil
	}
	var services struct{ Services []string }
	errJaeger := r.get(ctx, "api/v3/services", nil, &services)
	if errJaeger == nil && services.Services != nil {
		return KindJaeger, nil
	}
	for _, err := range []error{errNative, errTempo, errJaeger} {
		if hasStatus(err, http.StatusUnauthorized) || hasStatus(err, http.StatusForbidden) {
			return "", fmt.Errorf("finding out the kind of server: %w", err)
		}
	}
	return "", fmt.Errorf("%s is neither a Throughline nor a Tempo nor a Jaeger server as far as it answers; the kind can be told", r.root.Redacted())
}
