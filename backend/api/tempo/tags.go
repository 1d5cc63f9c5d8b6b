package tempo

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/api/wire"
	"github.com/throughline/throughline/backend/traceql"
)

// tagsRequest asks for the names or the values of attributes, in a range of time,
// on spans that fit the finished parts of a query.
type tagsRequest struct {
	tag, scope, query string
	start, end        uint64 // unix nanoseconds, 0 is none
	limit             int
}

func tagsRequestOf(q url.Values) (in tagsRequest, err error) {
	in.scope, in.query = q.Get("scope"), q.Get("q")
	if in.start, in.end, err = timeRange(q); err != nil {
		return in, err
	}
	in.limit, err = number(q, "limit")
	return in, err
}

func (h *Handler) tags(w http.ResponseWriter, r *http.Request) error {
	in, err := tagsRequestOf(r.URL.Query())
	if err != nil {
		return err
	}
	out, err := h.namesOf(r.Context(), &in)
	if err != nil {
		return err
	}
	return reply.JSON(w, out)
}

func (h *Handler) tagsV2(w http.ResponseWriter, r *http.Request) error {
	in, err := tagsRequestOf(r.URL.Query())
	if err != nil {
		return err
	}
	out, err := h.scopesOf(r.Context(), &in)
	if err != nil {
		return err
	}
	return reply.JSON(w, out)
}

func (h *Handler) tagValues(w http.ResponseWriter, r *http.Request) error {
	in, err := tagsRequestOf(r.URL.Query())
	if err != nil {
		return err
	}
	in.tag = r.PathValue("tag")
	out, err := h.stringsOf(r.Context(), &in)
	if err != nil {
		return err
	}
	return reply.JSON(w, out)
}

func (h *Handler) tagValuesV2(w http.ResponseWriter, r *http.Request) error {
	in, err := tagsRequestOf(r.URL.Query())
	if err != nil {
		return err
	}
	in.tag = r.PathValue("tag")
	out, err := h.typedOf(r.Context(), &in)
	if err != nil {
		return err
	}
	return reply.JSON(w, out)
}

// namesOf is the first version's: without a scope, the names of attributes of all.
func (h *Handler) namesOf(ctx context.Context, in *tagsRequest) (*tagNames, error) {
	scopes, err := h.scopesOf(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &tagNames{TagNames: []string{}, Metrics: scopes.Metrics}
	for _, s := range scopes.Scopes {
		if in.scope != "" || s.Name != "intrinsic" {
			out.TagNames = append(out.TagNames, s.Tags...)
		}
	}
	slices.Sort(out.TagNames)
	out.TagNames = slices.Compact(out.TagNames)
	return out, nil
}

// stringsOf is the first version's, whose tags are without a scope.
func (h *Handler) stringsOf(ctx context.Context, in *tagsRequest) (*tagStrings, error) {
	typed, err := h.typedOf(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &tagStrings{TagValues: make([]string, len(typed.TagValues)), Metrics: typed.Metrics}
	for i, v := range typed.TagValues {
		out.TagValues[i] = v.Value
	}
	slices.Sort(out.TagValues)
	out.TagValues = slices.Compact(out.TagValues)
	return out, nil
}

// ParseAttribute reads the name of an attribute or intrinsic as it stands in a
// query; a name without a scope may lack its dot.
func ParseAttribute(s string) (traceql.Attribute, bool) {
	for _, text := range []string{s, "." + s, (traceql.Attribute{Name: s}).String()} {
		q, err := traceql.Parse("{ " + text + " != nil }")
		if err != nil || q.Metrics != nil || len(q.Pipeline.Stages) != 1 {
			continue
		}
		filter, ok := q.Pipeline.Stages[0].(*traceql.SpansetFilter)
		if !ok {
			continue
		}
		binary, ok := filter.Expr.(*traceql.Binary)
		if !ok {
			continue
		}
		if f, ok := binary.Left.(*traceql.Field); ok {
			return f.Attribute, true
		}
	}
	return traceql.Attribute{}, false
}

type tagsMessage struct{ tagsRequest }

func (m *tagsMessage) ReadField(f wire.Field) error {
	switch f.Number {
	case 1:
		m.scope = f.String()
	case 2:
		m.query = f.String()
	case 3:
		m.start = f.N
	case 4:
		m.end = f.N
	case 5:
		m.limit = int(min(f.N, 1<<31-1))
	}
	return nil
}

type tagValuesMessage struct{ tagsRequest }

func (m *tagValuesMessage) ReadField(f wire.Field) error {
	switch f.Number {
	case 1:
		m.tag = f.String()
	case 2:
		m.query = f.String()
	case 4:
		m.start = f.N
	case 5:
		m.end = f.N
	case 6:
		m.limit = int(min(f.N, 1<<31-1))
	}
	return nil
}

// streamed answers a call by what answer makes of its request, whose range is in
// seconds yet.
func streamed[R wire.Response](ctx context.Context, in *tagsRequest, answer func(context.Context, *tagsRequest) (R, error), send func(wire.Response) error) error {
	var err error
	if in.start, in.end, err = between(in.start, in.end); err != nil {
		return err
	}
	out, err := answer(ctx, in)
	if err != nil {
		return err
	}
	return send(out)
}

func (h *Handler) streamTags(ctx context.Context, m *tagsMessage, send func(wire.Response) error) error {
	return streamed(ctx, &m.tagsRequest, h.namesOf, send)
}

func (h *Handler) streamTagsV2(ctx context.Context, m *tagsMessage, send func(wire.Response) error) error {
	return streamed(ctx, &m.tagsRequest, h.scopesOf, send)
}

func (h *Handler) streamTagValues(ctx context.Context, m *tagValuesMessage, send func(wire.Response) error) error {
	return streamed(ctx, &m.tagsRequest, h.stringsOf, send)
}

func (h *Handler) streamTagValuesV2(ctx context.Context, m *tagValuesMessage, send func(wire.Response) error) error {
	return streamed(ctx, &m.tagsRequest, h.typedOf, send)
}
