package jaeger

import (
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// tagCondition is Jaeger's meaning of one tag of a search, and beside it the tags
// that its answers show and that are no attributes here: as a condition that the
// store's columns know, or as a function.
func tagCondition(key, want string) (func(*span.Span) bool, *store.Cond) {
	switch key {
	case "error":
		yes, err := strconv.ParseBool(want)
		return func(s *span.Span) bool { return err == nil && yes == (s.Status.Code == span.StatusError) }, nil
	case "span.kind":
		return func(s *span.Span) bool { return s.Kind.String() == strings.ToLower(want) }, nil
	case "span.status", "otel.status_code":
		attribute := anywhere(key, want)
		return func(s *span.Span) bool {
			return s.Status.Code.String() == strings.ToLower(want) || key != "span.status" && attribute.Fits(s)
		}, nil
	case "scope.name", "otel.scope.name":
		return func(s *span.Span) bool { return s.Scope.Name == want }, nil
	case "scope.version", "otel.scope.version":
		return func(s *span.Span) bool { return s.Scope.Version == want }, nil
	case "otel.status_description":
		attribute := anywhere(key, want)
		return func(s *span.Span) bool { return s.Status.Message == want || attribute.Fits(s) }, nil
	case "w3c.tracestate":
		attribute := anywhere(key, want)
		return func(s *span.Span) bool { return s.TraceState == want || attribute.Fits(s) }, nil
	}
	if of, ok := strings.CutPrefix(key, "resource."); ok {
		return nil, attribute(store.ResourceAttribute, of, want)
	}
	return nil, anywhere(key, want)
}

// anywhere is for an attribute of the span, its scope, resource, events or links.
func anywhere(key, want string) *store.Cond {
	return &store.Cond{Op: store.CondOr, Of: []*store.Cond{
		attribute(store.SpanAttribute, key, want), attribute(store.ResourceAttribute, key, want),
		attribute(store.ScopeAttribute, key, want), attribute(store.EventAttribute, key, want),
		attribute(store.LinkAttribute, key, want),
	}}
}

// attribute compares the text of a value.
func attribute(f store.Field, key, want string) *store.Cond {
	return &store.Cond{
		Op: store.CondTest, Ref: store.FieldRef{Field: f, Key: key},
		Test: &store.Test{Match: func(v span.Value) bool { return v.Text() == want }, Text: &want},
	}
}

// The names that Jaeger gives to what has none.
const (
	missingService = "missing-service-name"
	emptyService   = "empty-service-name"
	emptySpanName  = "empty-span-name"
)

// storedService is the store's name of a service in a request.
func storedService(name string) string {
	if name == missingService || name == emptyService {
		return ""
	}
	return name
}

// namelessFilter finds the spans to whose resource Jaeger gives that name.
func namelessFilter(name string) *store.Filter {
	return &store.Filter{Service: new(""), Limit: 1, Where: func(s *span.Span) bool {
		return processName(s.Resource) == name
	}}
}

// serviceName is the name of a service where its resources are not at hand.
func serviceName(name string) string {
	if name == "" {
		return missingService
	}
	return name
}

func processName(r *span.Resource) string {
	if name := r.ServiceName(); name != "" {
		return name
	}
	if _, ok := span.Get(r.Attributes, "service.name"); ok {
		return emptyService
	}
	return missingService
}

func spanName(name string) string {
	if name == "" {
		return emptySpanName
	}
	return name
}

// named are the spans with the names that Jaeger gives to what has none.
func named(spans []span.Span) []span.Span {
	nameless := func(s span.Span) bool { return s.Name == "" || s.ServiceName() == "" }
	if !slices.ContainsFunc(spans, nameless) {
		return spans
	}
	spans = slices.Clone(spans)
	resources := map[*span.Resource]*span.Resource{}
	for i := range spans {
		s := &spans[i]
		s.Name = spanName(s.Name)
		if s.ServiceName() != "" {
			continue
		}
		r, ok := resources[s.Resource]
		if !ok {
			own := *s.Resource
			own.Attributes = slices.DeleteFunc(slices.Clone(own.Attributes), func(a span.Attribute) bool { return a.Key == "service.name" })
			own.Attributes = append(own.Attributes, span.Attribute{Key: "service.name", Value: span.String(processName(s.Resource))})
			r = &own
			resources[s.Resource] = r
		}
		s.Resource = r
	}
	return spans
}
