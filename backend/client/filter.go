package client

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Filter is a search that every kind of server can do. A trace fits when one of
// its spans fits all of the conditions together.
type Filter struct {
	Service     string
	Name        string // of the span, exactly
	Kind        span.Kind
	Status      span.StatusCode
	MinDuration time.Duration // of the span
	MaxDuration time.Duration // of the span; 0 means no bound
	Attributes  []AttributeFilter
}

// AttributeFilter demands an attribute of the span or of its resource. A value
// that reads as a number or as a boolean is looked for as that and as a text.
type AttributeFilter struct {
	Key, Value string
}

// TraceQL is the filter in that language.
func (f Filter) TraceQL() string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if f.Service != "" {
		add("resource.service.name = %s", quote(f.Service))
	}
	if f.Name != "" {
		add("name = %s", quote(f.Name))
	}
	if f.Kind != span.KindUnspecified {
		add("kind = %s", f.Kind)
	}
	if f.Status != span.StatusUnset {
		add("status = %s", f.Status)
	}
	if f.MinDuration > 0 {
		add("duration >= %s", durationQL(f.MinDuration))
	}
	if f.MaxDuration > 0 {
		add("duration <= %s", durationQL(f.MaxDuration))
	}
	for _, a := range f.Attributes {
		key := "." + attributeQL(a.Key)
		text := key + " = " + quote(a.Value)
		if number.MatchString(a.Value) || a.Value == "true" || a.Value == "false" {
			text = "(" + text + " || " + key + " = " + a.Value + ")"
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(all, " && ") + " }"
}

var (
	number = regexp.MustCompile(`^-?[0-9]{1,18}(\.[0-9]{1,18})?$`)
	plain  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\-/]*$`)
)

// attributeQL is the name of an attribute, in quotes where it has to be.
func attributeQL(key string) string {
	if plain.MatchString(key) {
		return key
	}
	return quote(key)
}

// quote is a string of TraceQL, which escapes the quote and the backslash.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// durationQL writes no more than one unit, because that is what TraceQL reads.
func durationQL(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}} {
		if d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}

// traceQL is the query in that language.
func (q Query) traceQL() string {
	if q.TraceQL != "" {
		return q.TraceQL
	}
	return q.Filter.TraceQL()
}
