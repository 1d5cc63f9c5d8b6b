package api

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// jaegerFilter reads the parameters of a search. All conditions but the range of
// time are about one span; so is the range, of its start, as Jaeger has it.
func jaegerFilter(q url.Values) (*store.Filter, error) {
	f := &store.Filter{Limit: 100}
	var err error
	if v := q.Get("limit"); v != "" {
		if f.Limit, err = strconv.Atoi(v); err != nil || f.Limit < 1 {
			return nil, invalid("unable to parse param 'limit': %q: want a number above 0", v)
		}
	}
	if f.StartMin, err = jaegerTime(q, "start"); err != nil {
		return nil, err
	}
	if f.StartMax, err = jaegerTime(q, "end"); err != nil {
		return nil, err
	}
	if f.MinDuration, err = jaegerDuration(q, "minDuration"); err != nil {
		return nil, err
	}
	if f.MaxDuration, err = jaegerDuration(q, "maxDuration"); err != nil {
		return nil, err
	}
	if f.MinDuration != 0 && f.MaxDuration != 0 && f.MaxDuration < f.MinDuration {
		return nil, invalid("'maxDuration' should be greater than 'minDuration'")
	}
	tags, err := jaegerTags(q)
	if err != nil {
		return nil, err
	}
	var where []func(*span.Span) bool
	if v := q.Get("service"); v != "" {
		f.Service = new(storedService(v))
		if *f.Service == "" && v != "" {
			where = append(where, namelessFilter(v).Where)
		}
	}
	if v := q.Get("operation"); v != "" {
		if v == emptySpanName {
			v = ""
		}
		f.Name = &v
	}
	for key, value := range tags {
		where = append(where, tagCondition(key, value))
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
	return f, nil
}

// jaegerTags reads tag=key:value and tags={"key":"value"}, both repeatable.
func jaegerTags(q url.Values) (map[string]string, error) {
	tags := map[string]string{}
	for _, tag := range q["tag"] {
		key, value, ok := strings.Cut(tag, ":")
		if !ok {
			return nil, invalid("malformed 'tag' parameter, expecting key:value, received: %.200s", tag)
		}
		tags[key] = value
	}
	for _, text := range q["tags"] {
		var in map[string]string
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			return nil, invalid("malformed 'tags' parameter, cannot unmarshal JSON: %v", err)
		}
		maps.Copy(tags, in)
	}
	return tags, nil
}

// jaegerTraceID reads an id in hexadecimal or in base64.
func jaegerTraceID(s string) (span.TraceID, error) {
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

func jaegerBool(q url.Values, name string) (bool, error) {
	v := q.Get(name)
	if v == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, invalid("unable to parse param '%s': %q: want true or false", name, v)
	}
	return b, nil
}

// jaegerTime reads unix microseconds as nanoseconds. Numbers that would be a time
// before 1973 are milliseconds: Grafana sends them so.
func jaegerTime(q url.Values, name string) (uint64, error) {
	v := q.Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n > 1<<63/1000 {
		return 0, invalid("unable to parse param '%s': %q: want unix microseconds", name, v)
	}
	if n < 1e14 {
		n *= 1000
	}
	return n * 1000, nil
}

func jaegerDuration(q url.Values, name string) (time.Duration, error) {
	v := q.Get(name)
	if v == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, invalid("unable to parse param '%s': %q: want a duration such as 1.2s, 100ms, 500us", name, v)
	}
	return d, nil
}
