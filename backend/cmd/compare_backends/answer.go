package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// answer is what a server said, in a form in which two can be compared: the values
// at each path, without the order that they came in. Elements of lists are named
// by what they are, not by where they stand.
type answer struct {
	status int
	body   string // as it came, for errors
	values map[string][]string
}

// volatile are the parts that depend on how an answer was found, or that are one
// of several right ones.
var volatile = map[string]bool{
	"metrics":   true, // what a search looked at
	"spanSet":   true, // any one of spanSets
	"exemplars": true, // any spans
}

func newAnswer(status int, body []byte) (*answer, error) {
	a := &answer{status: status, body: strings.TrimSpace(string(body)), values: map[string][]string{}}
	if status >= 400 {
		return a, nil
	}
	for d := json.NewDecoder(strings.NewReader(a.body)); d.More(); { // a stream has several
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("reading an answer: %w: %.200s", err, a.body)
		}
		a.add("", v)
	}
	for _, v := range a.values {
		slices.Sort(v)
	}
	return a, nil
}

func (a *answer) add(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		flatten(v)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			// Protobuf's JSON leaves out what is zero, or does not.
			if !volatile[key] && (strings.HasSuffix(key, "Value") || !isZero(v[key])) {
				a.add(path+"."+key, v[key])
			}
		}
	case []any:
		for _, one := range v {
			name := ""
			if !strings.HasSuffix(path, ".values") {
				name = nameOf(one)
			}
			a.add(path+"["+name+"]", one)
		}
	case nil:
	case json.Number: // which is written in several ways
		f, _ := v.Float64()
		a.values[path] = append(a.values[path], strconv.FormatFloat(f, 'g', -1, 64))
	default:
		a.values[path] = append(a.values[path], fmt.Sprint(v))
	}
}

func isZero(v any) bool {
	switch fmt.Sprint(v) {
	case "", "0", "false":
		return true
	}
	return false
}

// nameOf tells an element of a list from the others.
func nameOf(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	for _, key := range []string{"spanId", "spanID", "traceID", "traceId", "key", "name", "timestampMs", "parent", "type", "scope"} {
		if id, ok := m[key].(string); ok {
			if key == "parent" || key == "type" {
				for _, k := range []string{"child", "value"} {
					if v, ok := m[k].(string); ok && v != "" {
						id += " " + v
					}
				}
			}
			if kind, ok := m["spanKind"].(string); ok {
				id += " " + kind
			}
			return id
		}
	}
	if labels, ok := m["labels"].([]any); ok {
		return pairs(labels)
	}
	if spans, ok := m["spans"].([]any); ok { // a spanset
		var ids []string
		for _, s := range spans {
			ids = append(ids, nameOf(s))
		}
		slices.Sort(ids)
		return strings.Join(ids, " ")
	}
	return ""
}

func pairs(labels []any) string {
	var out []string
	for _, l := range labels {
		l, _ := l.(map[string]any)
		value, _ := l["value"].(map[string]any)
		for typ, v := range value {
			if n, ok := v.(json.Number); ok { // which is written in several ways
				f, _ := n.Float64()
				v = f
			}
			out = append(out, fmt.Sprint(l["key"], "=", strings.TrimSuffix(typ, "Value"), " ", v))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

// flatten joins the spans of OTLP to their resources and scopes, and those of
// Jaeger to their processes, because how spans are grouped says nothing.
func flatten(m map[string]any) {
	if list, ok := m["batches"]; ok {
		m["resourceSpans"] = list
		delete(m, "batches")
	}
	if list, ok := m["resourceSpans"].([]any); ok {
		var spans []any
		for _, group := range list {
			group, _ := group.(map[string]any)
			scopes, _ := group["scopeSpans"].([]any)
			for _, scope := range scopes {
				scope, _ := scope.(map[string]any)
				inner, _ := scope["spans"].([]any)
				for _, s := range inner {
					s, _ := s.(map[string]any)
					s["resource"], s["resourceSchema"] = group["resource"], group["schemaUrl"]
					s["instrumentation"], s["scopeSchema"] = scope["scope"], scope["schemaUrl"]
					spans = append(spans, s)
				}
			}
		}
		m["resourceSpans"] = spans
	}
	if processes, ok := m["processes"].(map[string]any); ok {
		spans, _ := m["spans"].([]any)
		for _, s := range spans {
			s, _ := s.(map[string]any)
			id, _ := s["processID"].(string)
			s["process"] = processes[id]
			delete(s, "processID")
		}
		delete(m, "processes")
	}
}

// difference is a path whose values are not equal.
type difference struct {
	path string
	a, b string
}

func (d difference) String() string { return fmt.Sprintf("%s: %s, %s", d.path, d.a, d.b) }

// compare tells what is different between answers. Numbers may be by a factor,
// which is 1 for those that are to be equal but for rounding.
func compare(a, b *answer, factor float64) []difference {
	if a.status >= 400 && b.status >= 400 {
		return nil // in their own words
	}
	if a.status != b.status {
		return []difference{{"status", a.said(), b.said()}}
	}
	paths := map[string]bool{}
	for p := range a.values {
		paths[p] = true
	}
	for p := range b.values {
		paths[p] = true
	}
	inA, inB := a.elements(), b.elements()
	var out []difference
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		x, y := a.values[p], b.values[p]
		if slices.EqualFunc(x, y, func(x, y string) bool { return same(p, x, y, factor) }) {
			continue
		}
		d := difference{p, shown(x), shown(y)}
		// Of an element that one of them lacks, that is enough to say.
		for _, e := range elementsOf(p) {
			if !inB[e] {
				d = difference{e, "there", "nothing"}
				break
			}
			if !inA[e] {
				d = difference{e, "nothing", "there"}
				break
			}
		}
		if len(out) == 0 || out[len(out)-1] != d {
			out = append(out, d)
		}
	}
	return out
}

// elements are the elements of lists that an answer has.
func (a *answer) elements() map[string]bool {
	out := map[string]bool{}
	for p := range a.values {
		for _, e := range elementsOf(p) {
			out[e] = true
		}
	}
	return out
}

// elementsOf are the elements of lists that a path goes through, from the outside.
func elementsOf(path string) (out []string) {
	for i := range path {
		if path[i] == ']' && (i+1 == len(path) || path[i+1] == '.') {
			out = append(out, path[:i+1])
		}
	}
	return out
}

func (a *answer) said() string {
	if a.status < 400 {
		return strconv.Itoa(a.status)
	}
	return fmt.Sprintf("%d (%.200s)", a.status, strings.ReplaceAll(a.body, "\n", " "))
}

func shown(values []string) string {
	if len(values) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%.200q", values)
}

// same are equal texts, and numbers of samples that are near enough.
func same(path, x, y string, factor float64) bool {
	if x == y {
		return true
	}
	if !strings.HasSuffix(path, ".value") {
		return false
	}
	f, err := strconv.ParseFloat(x, 64)
	g, err2 := strconv.ParseFloat(y, 64)
	if err != nil || err2 != nil {
		return false
	}
	return math.Abs(f-g) <= 1e-9*math.Max(math.Abs(f), math.Abs(g)) || f*g > 0 && f <= g*factor && g <= f*factor
}
