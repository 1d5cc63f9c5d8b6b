package api

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/api/tempo"
	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/traceql"
)

// attributeRange reads what both endpoints about attributes share. The query may
// be one that somebody is still typing.
func attributeRange(q url.Values) (filter *traceql.Query, start, end uint64, limit int, err error) {
	if v := q.Get("q"); v != "" {
		filter = traceql.ParseIncomplete(v)
	}
	if start, err = moment("start", q.Get("start")); err != nil {
		return nil, 0, 0, 0, err
	}
	if end, err = moment("end", q.Get("end")); err != nil {
		return nil, 0, 0, 0, err
	}
	if end != 0 && start > end {
		return nil, 0, 0, 0, reply.Invalid("start is after end")
	}
	limit, err = count(q, "limit", maxLimit, maxLimit)
	return filter, start, end, limit, err
}

type scopeJSON struct {
	Scope     string   `json:"scope"`
	Names     []string `json:"names"`
	Truncated bool     `json:"truncated"`
}

func (s *server) attributes(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := only(q, "scope", "q", "start", "end", "limit"); err != nil {
		return err
	}
	scope := q.Get("scope")
	if scope != "" && !slices.Contains(tempo.Scopes, scope) {
		return reply.Invalid("scope %q: want resource, span, event, link, instrumentation or intrinsic", reply.Clip(scope))
	}
	filter, start, end, limit, err := attributeRange(q)
	if err != nil {
		return err
	}
	names, err := tempo.Names(r.Context(), s.query, scope, query.TagNames{Query: filter, Start: start, End: end})
	if err != nil {
		return err
	}
	list := []scopeJSON{}
	for _, scope := range tempo.Scopes {
		if all, ok := names[scope]; ok {
			list = append(list, scopeJSON{scope, append([]string{}, all[:min(len(all), limit)]...), len(all) > limit})
		}
	}
	return writeTagged(w, r, map[string]any{"scopes": list})
}

type valueJSON struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (s *server) attributeValues(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := only(q, "attribute", "q", "start", "end", "limit"); err != nil {
		return err
	}
	attribute, ok := tempo.ParseAttribute(q.Get("attribute"))
	if !ok {
		return reply.Invalid("attribute %q: want an attribute or intrinsic as in TraceQL, as resource.service.name, .http.route or name", reply.Clip(q.Get("attribute")))
	}
	filter, start, end, limit, err := attributeRange(q)
	if err != nil {
		return err
	}
	values, err := s.query.TagValues(r.Context(), query.TagValues{Attribute: attribute, Query: filter, Start: start, End: end, Limit: limit})
	if err != nil {
		return err
	}
	list := make([]valueJSON, len(values.List))
	for i, v := range values.List {
		list[i] = valueJSON{tempo.TypeName(v), v.Text()}
	}
	return writeTagged(w, r, map[string]any{"values": list, "truncated": values.Truncated})
}
