package tempo

import (
	"context"
	"slices"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/traceql"
)

// Scopes are where attributes are found, in the order of answers.
var Scopes = []string{"resource", "span", "event", "link", "instrumentation", "intrinsic"}

// intrinsics are the names that a list of attributes has beside those that spans
// brought.
var intrinsics = []string{
	"duration", "event:name", "event:timeSinceStart", "instrumentation:name", "instrumentation:version", "kind",
	"link:spanID", "link:traceID", "name", "rootName", "rootServiceName", "span:duration", "span:id", "span:kind",
	"span:name", "span:parentID", "span:status", "span:statusMessage", "status", "statusMessage", "trace:duration",
	"trace:id", "trace:rootName", "trace:rootService", "traceDuration",
}

// Names lists the names of attributes by scope, those of one scope when it is not
// empty.
func Names(ctx context.Context, e *query.Engine, scope string, t query.TagNames) (map[string][]string, error) {
	if scope == "intrinsic" {
		return map[string][]string{scope: intrinsics}, nil
	}
	keys, err := e.TagNames(ctx, t)
	if err != nil {
		return nil, err
	}
	all := map[string][]string{
		"resource": keys.Resource, "span": keys.Span, "event": keys.Event, "link": keys.Link, "instrumentation": keys.Scope,
		"intrinsic": intrinsics,
	}
	if scope != "" {
		return map[string][]string{scope: all[scope]}, nil
	}
	return all, nil
}

func (h *Handler) scopesOf(ctx context.Context, in *tagsRequest) (*tagScopes, error) {
	scope := in.scope
	if scope == "none" || scope == "all" {
		scope = ""
	}
	if scope != "" && !slices.Contains(Scopes, scope) {
		return nil, reply.Invalid("invalid scope: %q", reply.Clip(scope))
	}
	names, err := Names(ctx, h.Query, scope, query.TagNames{Query: in.filter(), Start: in.start, End: in.end})
	if err != nil {
		return nil, err
	}
	out := &tagScopes{Scopes: []tagScope{}, Metrics: oneJob}
	for _, scope := range Scopes {
		list := names[scope]
		if in.limit > 0 && len(list) > in.limit {
			list = list[:in.limit]
		}
		if len(list) > 0 {
			out.Scopes = append(out.Scopes, tagScope{scope, list})
		}
	}
	return out, nil
}

var oneJob = metadataMetrics{TotalJobs: 1, CompletedJobs: 1}

// filter is what can be had of a query that somebody may still be typing; nil for
// none.
func (in *tagsRequest) filter() *traceql.Query {
	if in.query == "" {
		return nil
	}
	q := traceql.ParseIncomplete(in.query)
	if f, ok := q.Pipeline.Stages[0].(*traceql.SpansetFilter); ok && f.Expr == nil {
		return nil
	}
	return q
}

// keywords are the values of intrinsics that have few, whether or not spans do.
var keywords = map[traceql.Intrinsic][]string{
	traceql.IntrinsicStatus: {"ok", "error", "unset"},
	traceql.IntrinsicKind:   {"unspecified", "internal", "server", "client", "producer", "consumer"},
}

func (h *Handler) typedOf(ctx context.Context, in *tagsRequest) (*tagTyped, error) {
	attribute, ok := ParseAttribute(in.tag)
	if !ok {
		return nil, reply.Invalid("please provide a valid tagName: %q is no attribute", reply.Clip(in.tag))
	}
	out := &tagTyped{TagValues: []tagValue{}, Metrics: oneJob}
	if words, ok := keywords[attribute.Intrinsic]; ok {
		for _, word := range words {
			out.TagValues = append(out.TagValues, tagValue{"keyword", word})
		}
		return out, nil
	}
	values, err := h.Query.TagValues(ctx, query.TagValues{Attribute: attribute, Query: in.filter(), Start: in.start, End: in.end, Limit: in.limit})
	if err != nil {
		return nil, err
	}
	for _, v := range values.List {
		text := v.Text()
		if v.Type() == traceql.TypeFloat {
			text = v.String() // which is never that of an integer
		}
		out.TagValues = append(out.TagValues, tagValue{TypeName(v), text})
	}
	return out, nil
}

// TypeName is the type of a value in a list of an attribute's values.
func TypeName(v traceql.Value) string {
	switch v.Type() {
	case traceql.TypeInt:
		return "int"
	case traceql.TypeFloat:
		return "float"
	case traceql.TypeBool:
		return "bool"
	case traceql.TypeDuration:
		return "duration"
	case traceql.TypeStatus, traceql.TypeKind:
		return "keyword"
	}
	return "string"
}
