package jaeger

import (
	"strconv"
	"strings"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// tagCondition is Jaeger's meaning of one tag of a search, and beside it the tags
// that its answers show and that are no attributes here.
func tagCondition(key, want string) func(*span.Span) bool {
	switch key {
	case "error":
		yes, err := strconv.ParseBool(want)
		return func(s *span.Span) bool { return err == nil && yes == (s.Status.Code == span.StatusError) }
	case "span.kind":
		return func(s *span.Span) bool { return s.Kind.String() == strings.ToLower(want) }
	case "span.status", "otel.status_code":
		return func(s *span.Span) bool {
			return s.Status.Code.String() == strings.ToLower(want) || key != "span.status" && anyAttribute(s, key, want)
		}
	case "scope.name", "otel.scope.name":
		return func(s *span.Span) bool { return s.Scope.Name == want }
	case "scope.version", "otel.scope.version":
		return func(s *span.Span) bool { return s.Scope.Version == want }
	case "otel.status_description":
		return func(s *span.Span) bool { return s.Status.Message == want || anyAttribute(s, key, want) }
	case "w3c.tracestate":
		return func(s *span.Span) bool { return s.TraceState == want || anyAttribute(s, key, want) }
	}
	if of, ok := strings.CutPrefix(key, "resource."); ok {
		return func(s *span.Span) bool { return hasAttribute(s.Resource.Attributes, of, want) }
	}
	return func(s *span.Span) bool { return anyAttribute(s, key, want) }
}

// anyAttribute looks at the span, its scope, resource, events and links.
func anyAttribute(s *span.Span, key, want string) bool {
	if hasAttribute(s.Attributes, key, want) || hasAttribute(s.Scope.Attributes, key, want) || hasAttribute(s.Resource.Attributes, key, want) {
		return true
	}
	for i := range s.Events {
		if hasAttribute(s.Events[i].Attributes, key, want) {
			return true
		}
	}
	for i := range s.Links {
		if hasAttribute(s.Links[i].Attributes, key, want) {
			return true
		}
	}
	return false
}

func hasAttribute(attributes []span.Attribute, key, want string) bool {
	v, ok := span.Get(attributes, key)
	return ok && v.Text() == want
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
