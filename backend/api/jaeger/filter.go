package jaeger

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// search is what a client of any of the versions looks for. All conditions but
// the range of time are about one span; so is the range, of its start, both ends
// included, as Jaeger has it.
type search struct {
	service, operation       string // empty is any
	tags                     map[string]string
	startMin, startMax       uint64 // unix nanoseconds, 0 is none
	minDuration, maxDuration time.Duration
	limit                    int
}

const (
	defaultLimit = 100
	// maxLimit bounds the summaries that one search holds in memory.
	maxLimit = 100_000
)

// filter is the store's form of the search, and conditions beside it, which its
// columns know, about the same span.
func (s *search) filter() (*store.Filter, []*store.Cond) {
	f := &store.Filter{
		StartMin: s.startMin, StartMax: s.startMax, MinDuration: s.minDuration, MaxDuration: s.maxDuration, Limit: s.limit,
	}
	var where []func(*span.Span) bool
	var conditions []*store.Cond
	if s.service != "" {
		f.Service = new(storedService(s.service))
		if *f.Service == "" {
			where = append(where, namelessFilter(s.service).Where)
		}
	}
	if s.operation != "" {
		f.Name = new(s.operation)
		if s.operation == emptySpanName {
			f.Name = new("")
		}
	}
	for key, value := range s.tags {
		function, condition := tagCondition(key, value)
		if condition != nil {
			conditions = append(conditions, condition)
			continue
		}
		where = append(where, function)
		// What the store's index knows need not be decoded.
		switch key {
		case "span.kind":
			if k, ok := span.ParseKind(strings.ToLower(value)); ok {
				f.Kind = &k
			}
		case "error":
			if yes, err := strconv.ParseBool(value); err == nil && yes {
				f.Status = new(span.StatusError)
			}
		}
	}
	if len(where) > 0 {
		f.Where = func(s *span.Span) bool {
			for _, ok := range where {
				if !ok(s) {
					return false
				}
			}
			return true
		}
	}
	return f, conditions
}

// find returns the traces that fit, newest first.
func (h *Handler) find(ctx context.Context, s *search) ([]span.Summary, error) {
	f, conditions := s.filter()
	if len(conditions) == 0 {
		found, err := h.Store.Search(ctx, f)
		return found.Traces, err
	}
	if f.Service != nil && *f.Service != "" {
		conditions = append(conditions, attribute(store.ResourceAttribute, "service.name", *f.Service))
	}
	if f.Name != nil {
		conditions = append(conditions, &store.Cond{
			Op: store.CondTest, Ref: store.FieldRef{Field: store.SpanName},
			Test: &store.Test{Match: func(v span.Value) bool { return v.Str() == *f.Name }, Text: f.Name},
		})
	}
	all := &store.Cond{Op: store.CondAnd, Of: conditions}
	result, err := h.Store.ScanTraces(ctx, &store.TraceScan{
		Select: &store.Select{Right: all}, Start: f.StartMin, End: f.StartMax, Limit: f.Limit,
		Project: store.Projection{Everything: f.Where != nil},
		Judge: func() func(*store.FoundTrace) (any, bool, error) {
			return func(t *store.FoundTrace) (any, bool, error) {
				for i := range t.Spans {
					if sp := &t.Spans[i]; all.Fits(sp) && f.Fits(sp) {
						return t.Summary(), true, nil
					}
				}
				return nil, false, nil
			}
		},
	})
	if err != nil {
		return nil, err
	}
	list := make([]span.Summary, len(result.Traces))
	for i, t := range result.Traces {
		list[i] = t.Value.(span.Summary)
	}
	return list, nil
}

// searchOf reads the parameters of a search of version 1.
func searchOf(q url.Values) (*search, error) {
	s := &search{service: q.Get("service"), operation: q.Get("operation"), limit: defaultLimit}
	var err error
	if v := q.Get("limit"); v != "" {
		if s.limit, err = strconv.Atoi(v); err != nil || s.limit < 1 || s.limit > maxLimit {
			return nil, reply.Invalid("unable to parse param 'limit': %q: want a number from 1 to %d", v, maxLimit)
		}
	}
	if s.startMin, err = moment(q, "start"); err != nil {
		return nil, err
	}
	if s.startMax, err = moment(q, "end"); err != nil {
		return nil, err
	}
	if s.minDuration, err = duration(q, "minDuration"); err != nil {
		return nil, err
	}
	if s.maxDuration, err = duration(q, "maxDuration"); err != nil {
		return nil, err
	}
	if s.minDuration != 0 && s.maxDuration != 0 && s.maxDuration < s.minDuration {
		return nil, reply.Invalid("'maxDuration' should be greater than 'minDuration'")
	}
	if s.tags, err = tagsOf(q); err != nil {
		return nil, err
	}
	return s, nil
}

// tagsOf reads tag=key:value and tags={"key":"value"}, both repeatable.
func tagsOf(q url.Values) (map[string]string, error) {
	tags := map[string]string{}
	for _, tag := range q["tag"] {
		key, value, ok := strings.Cut(tag, ":")
		if !ok {
			return nil, reply.Invalid("malformed 'tag' parameter, expecting key:value, received: %.200s", tag)
		}
		tags[key] = value
	}
	for _, text := range q["tags"] {
		var in map[string]string
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			return nil, reply.Invalid("malformed 'tags' parameter, cannot unmarshal JSON: %v", err)
		}
		maps.Copy(tags, in)
	}
	return tags, nil
}

// parseTraceID reads an id in hexadecimal or in base64.
func parseTraceID(s string) (span.TraceID, error) {
	id, err := span.ParseTraceID(s)
	if err == nil || len(s) > 24 {
		return id, err
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, e := enc.DecodeString(s); e == nil && len(b) == len(id) {
			return span.TraceID(b), nil
		}
	}
	return id, err
}

func boolean(q url.Values, name string) (bool, error) {
	v := q.Get(name)
	if v == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, reply.Invalid("unable to parse param '%s': %q: want true or false", name, v)
	}
	return b, nil
}

// moment reads unix microseconds as nanoseconds. Numbers that would be a time
// before 1973 are milliseconds: Grafana sends them so.
func moment(q url.Values, name string) (uint64, error) {
	v := q.Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n > 1<<63/1000 {
		return 0, reply.Invalid("unable to parse param '%s': %q: want unix microseconds", name, v)
	}
	if n < 1e14 {
		n *= 1000
	}
	return n * 1000, nil
}

func duration(q url.Values, name string) (time.Duration, error) {
	v := q.Get(name)
	if v == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, reply.Invalid("unable to parse param '%s': %q: want a duration such as 1.2s, 100ms, 500us", name, v)
	}
	return d, nil
}

func milliseconds(q url.Values, name string, absent time.Duration) (time.Duration, error) {
	v := q.Get(name)
	if v == "" {
		return absent, nil
	}
	ms, err := strconv.ParseInt(v, 10, 64)
	if err != nil || ms < 0 || ms > 1<<43 {
		return 0, reply.Invalid("unable to parse param '%s': %q: want milliseconds", name, v)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
