package traceql

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// The words of random traces and queries are few, so that they meet.
var (
	randomNames    = []string{"a", "b", "c"}
	randomTexts    = []string{"", "x", "y", "xy", "10", "9"}
	randomServices = []string{"front", "back", ""}
)

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// randomTrace makes a trace whose spans may be orphans, in cycles, without service,
// and of several roots.
func randomTrace(r *rand.Rand, most int) *span.Trace {
	t := &span.Trace{}
	fill(r, t.ID[:])
	n := 1 + r.IntN(most)
	var resources []*span.Resource
	for range 1 + r.IntN(3) {
		resources = append(resources, &span.Resource{Attributes: append([]span.Attribute{{Key: "service.name", Value: span.String(pick(r, randomServices))}}, randomAttributes(r)...)})
	}
	resources = append(resources, &span.Resource{})
	scopes := []*span.Scope{{}, {Name: "x", Version: "y", Attributes: randomAttributes(r)}}
	start := uint64(1_000_000_000_000 + r.Uint64N(1_000_000_000))
	for i := range n {
		start += r.Uint64N(20_000_000)
		s := span.Span{
			TraceID: t.ID, Name: pick(r, randomTexts), Kind: span.Kind(r.IntN(6)),
			StartTime: start, EndTime: start + uint64(r.IntN(4))*1_000_000 + uint64(r.IntN(2)*r.IntN(5_000_000)),
			Status:     span.Status{Code: span.StatusCode(r.IntN(3)), Message: pick(r, randomTexts)},
			Attributes: randomAttributes(r), Resource: pick(r, resources), Scope: pick(r, scopes),
		}
		fill(r, s.SpanID[:])
		switch {
		case i > 0 && r.IntN(10) > 0:
			s.ParentSpanID = t.Spans[r.IntN(i)].SpanID
		case r.IntN(5) == 0:
			fill(r, s.ParentSpanID[:])
		}
		for range r.IntN(3) * r.IntN(2) {
			s.Events = append(s.Events, span.Event{Time: start + uint64(r.IntN(5))*1_000_000, Name: pick(r, randomTexts), Attributes: randomAttributes(r)})
		}
		for range r.IntN(3) * r.IntN(2) {
			l := span.Link{TraceID: t.ID, Attributes: randomAttributes(r)}
			fill(r, l.SpanID[:])
			s.Links = append(s.Links, l)
		}
		t.Spans = append(t.Spans, s)
	}
	if n > 2 && r.IntN(8) == 0 { // a cycle
		a, b := r.IntN(n), r.IntN(n)
		t.Spans[a].ParentSpanID, t.Spans[b].ParentSpanID = t.Spans[b].SpanID, t.Spans[a].SpanID
	}
	return t
}

func fill(r *rand.Rand, id []byte) {
	for i := range id {
		id[i] = byte(1 + r.IntN(255))
	}
}

func randomAttributes(r *rand.Rand) []span.Attribute {
	var out []span.Attribute
	for _, name := range randomNames {
		if r.IntN(2) == 0 {
			out = append(out, span.Attribute{Key: name, Value: randomValue(r)})
		}
	}
	return out
}

func randomValue(r *rand.Rand) span.Value {
	switch r.IntN(12) {
	case 0, 1, 2:
		return span.Int(int64(r.IntN(4) - 1))
	case 3, 4:
		return span.Float([]float64{0, 0.5, 1, 2.5, -1}[r.IntN(5)])
	case 5:
		return span.Bool(r.IntN(2) == 0)
	case 6:
		return span.List([]span.Value{span.String(pick(r, randomTexts)), span.String(pick(r, randomTexts))})
	case 7:
		return span.List([]span.Value{span.Int(1), span.Int(int64(r.IntN(3)))})
	case 8:
		return []span.Value{{}, span.Bytes("x"), span.Map(nil), span.List(nil)}[r.IntN(4)]
	}
	return span.String(pick(r, randomTexts))
}

// generator writes random queries. Many are refused for their types; callers skip those.
type generator struct{ *rand.Rand }

func (g generator) pick(from ...string) string { return pick(g.Rand, from) }

func (g generator) query() string {
	q := g.spansets(2)
	for range g.IntN(3) {
		switch g.IntN(7) {
		case 0:
			q += " | " + g.spansets(1)
		case 1:
			q += " | by(" + g.field() + ")"
		case 2:
			q += " | coalesce()"
		case 3:
			q += " | select(" + g.field() + ", " + g.field() + ")"
		default:
			q += " | " + g.scalar(1) + g.pick(" > ", " = ", " < ", " >= ", " != ") + g.pick("0", "1", "2", "1ms", "1.5")
		}
	}
	return q
}

func (g generator) metrics() string {
	q := g.spansets(1) + " | "
	f := g.pick("rate()", "count_over_time()", "min_over_time(%s)", "max_over_time(%s)", "avg_over_time(%s)", "sum_over_time(%s)", "quantile_over_time(%s, 0.5, 0.9)", "histogram_over_time(%s)")
	if strings.Contains(f, "%s") {
		f = fmt.Sprintf(f, g.pick("duration", "duration", "span.a", ".b", "childCount"))
	}
	q += f
	if g.IntN(2) == 0 {
		q += " by(" + g.field() + ")"
	}
	return q
}

func (g generator) spansets(depth int) string {
	if depth == 0 || g.IntN(2) == 0 {
		if g.IntN(8) == 0 {
			return "{ }"
		}
		return "{ " + g.boolean(2) + " }"
	}
	if g.IntN(8) == 0 {
		return "(" + g.spansets(depth-1) + " | " + g.scalar(1) + " > " + g.pick("0", "1") + ")"
	}
	op := g.pick("&&", "||", ">", ">>", "<", "<<", "~", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<", "&~")
	return "(" + g.spansets(depth-1) + ") " + op + " (" + g.spansets(depth-1) + ")"
}

func (g generator) scalar(depth int) string {
	if depth > 0 && g.IntN(5) == 0 {
		return "(" + g.scalar(depth-1) + g.pick(" + ", " - ", " * ", " / ") + g.scalar(depth-1) + ")"
	}
	switch g.IntN(6) {
	case 0, 1:
		return "count()"
	case 2:
		return "(" + g.spansets(1) + " | count())"
	}
	return g.pick("avg", "min", "max", "sum") + "(" + g.pick("duration", "span.a", ".b", "event.a", "childCount", "span.a + .b") + ")"
}

func (g generator) boolean(depth int) string {
	if depth > 0 {
		switch g.IntN(6) {
		case 0, 1:
			return "(" + g.boolean(depth-1) + " && " + g.boolean(depth-1) + ")"
		case 2:
			return "(" + g.boolean(depth-1) + " || " + g.boolean(depth-1) + ")"
		case 3:
			return "!(" + g.boolean(depth-1) + ")"
		}
	}
	switch g.IntN(12) {
	case 0:
		return g.pick("true", "false", ".a", "!.a", "span.b", "event.a")
	case 1:
		return g.field() + " " + g.pick("=~", "!~") + " " + g.pick(`"x.*"`, `"x|y"`, `".*y"`, `""`, `"[0-9]+"`, `"(?i)X"`)
	case 2:
		return g.field() + g.pick(" = ", " != ") + "nil"
	case 3:
		return g.operand(1) + g.comparison() + g.operand(1)
	case 4:
		return g.pick(
			"status"+g.pick(" = ", " != ")+g.pick("ok", "error", "unset"),
			"kind"+g.pick(" = ", " != ")+g.pick("server", "client", "internal"),
			"duration"+g.comparison()+g.pick("1ms", "0s", "2ms", "1000000"),
			"name"+g.comparison()+g.text(),
			"traceDuration"+g.comparison()+"20ms",
			"childCount"+g.comparison()+g.pick("0", "1", "2"),
			g.pick("nestedSetParent", "nestedSetLeft", "nestedSetRight")+g.comparison()+g.pick("-1", "0", "1", "3"),
			"rootName"+g.comparison()+g.text(),
			"rootServiceName = "+g.pick(`"front"`, `"back"`, `""`),
			"event:name"+g.comparison()+g.text(),
			"event:timeSinceStart"+g.comparison()+g.pick("0s", "2ms"),
			"instrumentation:name"+g.comparison()+g.text(),
			"parent = nil", "duration != nil", "name != nil",
		)
	}
	if g.IntN(4) == 0 {
		return g.literal() + g.comparison() + g.field()
	}
	return g.field() + g.comparison() + g.literal()
}

func (g generator) comparison() string {
	return g.pick(" = ", " = ", " != ", " < ", " <= ", " > ", " >= ")
}

func (g generator) operand(depth int) string {
	if depth > 0 && g.IntN(3) > 0 {
		return "(" + g.operand(depth-1) + g.pick(" + ", " - ", " * ", " / ", " % ", " ^ ") + g.operand(depth-1) + ")"
	}
	return g.pick(g.field(), g.field(), "1", "2", "0", "0.5", "1ms", "-1", "duration")
}

func (g generator) field() string {
	if g.IntN(8) == 0 {
		return g.pick("name", "kind", "status", "duration", "resource.service.name", "event:name", "childCount", "rootName", "statusMessage", ".service.name")
	}
	return g.pick("", "span", "span", "resource", "event", "link", "instrumentation", "parent", "parent.span", "parent.resource") + "." + pick(g.Rand, randomNames)
}

func (g generator) text() string { return fmt.Sprintf("%q", pick(g.Rand, randomTexts)) }

func (g generator) literal() string {
	return g.pick(g.text(), g.text(), "1", "0", "-1", "0.5", "1.0", "true", "false", "1ms", "2")
}

const testStart, testStep = 1_000_000_000_000, uint64(100 * time.Millisecond)
