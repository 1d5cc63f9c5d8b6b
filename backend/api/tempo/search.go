package tempo

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/go-logfmt/logfmt"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/api/wire"
	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/traceql"
)

// searchRequest is a search as both protocols have it. Without a query it is one
// by tags, whose answer has no spans.
type searchRequest struct {
	query                    string
	tags                     map[string]string
	minDuration, maxDuration time.Duration
	limit, spans             int
	start, end               uint64 // unix nanoseconds, 0 is none
}

func (h *Handler) search(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := searchRequest{query: q.Get("q")}
	var err error
	if in.start, in.end, err = timeRange(q); err != nil {
		return err
	}
	if in.limit, err = number(q, "limit"); err != nil {
		return err
	}
	if in.spans, err = number(q, "spss"); err != nil {
		return err
	}
	if in.tags, err = tagsOf(q.Get("tags")); err != nil {
		return err
	}
	if in.minDuration, err = duration(q, "minDuration"); err != nil {
		return err
	}
	if in.maxDuration, err = duration(q, "maxDuration"); err != nil {
		return err
	}
	out, err := h.find(r.Context(), &in)
	if err != nil {
		return err
	}
	return reply.JSON(w, out)
}

// tagsOf reads key=value pairs in logfmt.
func tagsOf(text string) (map[string]string, error) {
	tags := map[string]string{}
	d := logfmt.NewDecoder(strings.NewReader(text))
	for d.ScanRecord() {
		for d.ScanKeyval() {
			tags[string(d.Key())] = string(d.Value())
		}
	}
	if err := d.Err(); err != nil {
		return nil, reply.Invalid("invalid tags: %v", err)
	}
	return tags, nil
}

func (h *Handler) find(ctx context.Context, in *searchRequest) (*searchResponse, error) {
	text := in.query
	if text == "" {
		text = in.traceQL()
	}
	parsed, err := parse(text)
	if err != nil {
		return nil, err
	}
	parsed.Metrics, parsed.Stages = nil, nil // a search for the spans that are counted
	found, err := h.Query.Search(ctx, query.Search{Query: parsed, Start: in.start, End: in.end, Limit: in.limit, SpansPerSpanset: in.spans})
	if err != nil {
		return nil, err
	}
	out := &searchResponse{Traces: make([]traceMetadata, len(found.Traces)), Metrics: done(found.Stats)}
	for i := range found.Traces {
		t := &found.Traces[i]
		out.Traces[i] = metadataOf(&t.Summary)
		if in.query == "" {
			continue
		}
		for _, set := range t.Spansets {
			out.Traces[i].SpanSets = append(out.Traces[i].SpanSets, spanSetOf(&set))
		}
		if sets := out.Traces[i].SpanSets; len(sets) > 0 {
			out.Traces[i].SpanSet = &sets[0]
		}
	}
	return out, nil
}

// rootMissing is how Tempo names the service of a root that has not arrived or is
// without one.
const rootMissing = "<root span not yet received>"

func metadataOf(s *span.Summary) traceMetadata {
	out := traceMetadata{
		TraceID: shortID(s.TraceID), RootService: s.RootService, RootName: s.RootName,
		Start: s.StartTime, DurationMs: uint32(min(s.Duration().Milliseconds(), 1<<32-1)),
		ServiceStats: make(map[string]serviceStats, len(s.Services)),
	}
	if !s.HasRoot {
		out.RootService, out.RootName = "", ""
	}
	if out.RootService == "" {
		out.RootService = rootMissing
	}
	for _, c := range s.Services {
		out.ServiceStats[c.Name] = serviceStats{uint32(c.SpanCount), uint32(c.ErrorCount)}
	}
	return out
}

// shortID is how Tempo writes an id outside of traces: without leading zeros.
func shortID(id span.TraceID) string { return strings.TrimLeft(id.String(), "0") }

func spanSetOf(set *query.Spanset) spanSet {
	out := spanSet{Matched: uint32(set.Matched), Spans: make([]spanMatch, len(set.Spans)), Attributes: Attributes(set.Attributes)}
	for i := range set.Spans {
		s := &set.Spans[i]
		out.Spans[i] = spanMatch{s.ID.String(), s.Name, s.Start, uint64(s.Duration), shown(s.Attributes)}
	}
	return out
}

func done(s query.Stats) searchMetrics {
	return searchMetrics{InspectedTraces: uint32(s.Traces), InspectedSpans: uint64(s.Spans), CompletedJobs: 1, TotalJobs: 1}
}

// Attributes is what a query names, in OTLP.
func Attributes(list []traceql.Named) []span.Attribute {
	out := make([]span.Attribute, len(list))
	for i, n := range list {
		out[i] = span.Attribute{Key: n.Name, Value: valueOf(n.Value)}
	}
	return out
}

// shown is the attributes of a span as Tempo names them: without their scopes, and
// without what has a field of its own.
func shown(list []traceql.Named) []span.Attribute {
	var out []span.Attribute
	for _, a := range Attributes(list) {
		if a.Key == "name" || a.Key == "duration" {
			continue
		}
		if named, ok := ParseAttribute(a.Key); ok && named.Intrinsic == traceql.IntrinsicNone && !named.Parent {
			a.Key = named.Name
		}
		out = append(out, a)
	}
	return out
}

// valueOf is a value of TraceQL in OTLP, where durations, statuses and kinds are
// text.
func valueOf(v traceql.Value) span.Value {
	switch v.Type() {
	case traceql.TypeInt:
		return span.Int(v.Int())
	case traceql.TypeFloat:
		f, _ := v.Number()
		return span.Float(f)
	case traceql.TypeBool:
		return span.Bool(v.Bool())
	case traceql.TypeList:
		return span.List(v.List())
	}
	return span.String(v.Text())
}

// traceQL is the query that a search by tags means: one span has all of them, each
// value anywhere in the attribute's and in either case, and the trace is of that
// duration.
func (in *searchRequest) traceQL() string {
	var conditions []string
	for key, value := range in.tags {
		conditions = append(conditions, tagCondition(key, value))
	}
	if in.minDuration > 0 {
		conditions = append(conditions, "traceDuration >= "+traceql.DurationValue(in.minDuration).String())
	}
	if in.maxDuration > 0 {
		conditions = append(conditions, "traceDuration <= "+traceql.DurationValue(in.maxDuration).String())
	}
	return "{ " + strings.Join(conditions, " && ") + " }"
}

// legacyTags are names of the search by tags that are intrinsics in TraceQL.
var legacyTags = map[string]traceql.Intrinsic{
	"name":              traceql.IntrinsicName,
	"root.name":         traceql.IntrinsicRootName,
	"root.service.name": traceql.IntrinsicRootService,
}

func tagCondition(key, value string) string {
	attribute := traceql.Attribute{Name: key}
	switch {
	case key == "error" && value == "true":
		return "status = error"
	case key == "status.code" || key == "status":
		switch value {
		case "ok", "error", "unset":
			return "status = " + value
		}
	}
	if i, ok := legacyTags[key]; ok {
		attribute = traceql.Attribute{Intrinsic: i}
	}
	return substring(attribute, value)
}

// substring demands a value anywhere in an attribute's, in either case.
func substring(a traceql.Attribute, value string) string {
	return (&traceql.Binary{
		Op: traceql.OpMatch, Left: &traceql.Field{Attribute: a},
		Right: &traceql.Literal{Value: traceql.StringValue("(?i).*" + regexp.QuoteMeta(value) + ".*")},
	}).String()
}

type searchMessage struct{ searchRequest }

func (m *searchMessage) ReadField(f wire.Field) error {
	switch f.Number {
	case 1:
		key, value, err := entry(f.Bytes)
		if m.tags == nil {
			m.tags = map[string]string{}
		}
		m.tags[key] = value
		return err
	case 2:
		m.minDuration = time.Duration(min(f.N, 1<<32)) * time.Millisecond
	case 3:
		m.maxDuration = time.Duration(min(f.N, 1<<32)) * time.Millisecond
	case 4:
		m.limit = int(min(f.N, 1<<31-1))
	case 5:
		m.start = f.N
	case 6:
		m.end = f.N
	case 8:
		m.query = f.String()
	case 9:
		m.spans = int(min(f.N, 1<<31-1))
	}
	return nil
}

// entry reads one pair of a map of strings.
func entry(message []byte) (key, value string, err error) {
	err = wire.Read(message, func(f wire.Field) error {
		switch f.Number {
		case 1:
			key = f.String()
		case 2:
			value = f.String()
		}
		return nil
	})
	return key, value, err
}

func (h *Handler) streamSearch(ctx context.Context, m *searchMessage, send func(wire.Response) error) error {
	var err error
	if m.start, m.end, err = between(m.start, m.end); err != nil {
		return err
	}
	out, err := h.find(ctx, &m.searchRequest)
	if err != nil {
		return err
	}
	return send(out)
}
