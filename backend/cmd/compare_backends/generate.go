package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator writes random TraceQL over the words of the corpus. Nearly all of it is
// well typed.
type generator struct{ *rand.Rand }

func (g generator) pick(from ...string) string { return pick(g.Rand, from...) }

// query is a search or, one time in three, a metrics query.
func (g generator) query() string {
	if g.IntN(3) == 0 {
		return g.spansets(1) + " | " + g.metrics()
	}
	q := g.spansets(2)
	for range g.IntN(3) {
		switch g.IntN(6) {
		case 0:
			q += " | { " + g.condition(1) + " }"
		case 1:
			q += " | by(" + g.field() + ")"
		case 2:
			q += " | coalesce()"
		case 3:
			q += " | select(" + g.field() + ", " + g.field() + ")"
		default:
			q += " | " + g.aggregate()
		}
	}
	return q
}

func (g generator) spansets(depth int) string {
	if depth == 0 || g.IntN(2) == 0 {
		if g.IntN(8) == 0 {
			return "{ }"
		}
		return "{ " + g.condition(2) + " }"
	}
	op := g.pick("&&", "||", ">", ">>", "<", "<<", "~", ">", ">>", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<", "&~")
	return "(" + g.spansets(depth-1) + ") " + op + " (" + g.spansets(depth-1) + ")"
}

func (g generator) aggregate() string {
	switch g.IntN(4) {
	case 0, 1:
		return "count()" + g.comparison() + g.pick("1", "2", "3")
	case 2:
		return g.pick("avg", "min", "max", "sum") + "(duration)" + g.comparison() + g.pick("1ms", "20ms", "100ms")
	}
	return g.pick("avg", "min", "max", "sum") + "(" + g.pick("span.amount", "span.http.response.status_code", "span.db.rows") + ")" + g.comparison() + g.pick("0", "1", "2", "200")
}

func (g generator) metrics() string {
	var q string
	switch g.IntN(5) {
	case 0, 1:
		q = g.pick("rate()", "count_over_time()")
	case 2:
		q = "histogram_over_time(" + g.pick("duration", "traceDuration", "span.http.response.status_code", "span.db.rows") + ")"
	case 3:
		q = "quantile_over_time(" + g.pick("duration", "traceDuration", "span.http.response.status_code") + ", 0.5, 0.9)"
	default:
		q = g.pick("min_over_time(", "max_over_time(", "avg_over_time(") + g.number() + ")"
		if g.IntN(4) == 0 {
			q = "sum_over_time(duration)"
		}
	}
	// Tempo 3.0.3 crashes on averages by what is an array on some span.
	if g.IntN(2) == 0 && !strings.HasPrefix(q, "avg") {
		q += " by(" + g.field()
		if g.IntN(3) == 0 {
			q += ", " + g.field()
		}
		q += ")"
	}
	return q
}

// number is a field to do sums with.
func (g generator) number() string {
	return g.pick("duration", "duration", "span.http.response.status_code", "span.db.rows", "span.amount", "traceDuration")
}

func (g generator) condition(depth int) string {
	if depth > 0 {
		switch g.IntN(6) {
		case 0, 1:
			return "(" + g.condition(depth-1) + " && " + g.condition(depth-1) + ")"
		case 2:
			return "(" + g.condition(depth-1) + " || " + g.condition(depth-1) + ")"
		}
	}
	equal := g.pick(" = ", " = ", " != ")
	match := g.pick(" = ", " != ", " =~ ", " !~ ", " < ", " >= ")
	text := func(pattern string, words ...string) string {
		if strings.Contains(match, "~") {
			return match + fmt.Sprintf("%q", pattern)
		}
		return match + fmt.Sprintf("%q", pick(g.Rand, words...))
	}
	switch g.IntN(24) {
	case 0:
		return "name" + text("(GET|POST).*", spanNames...)
	case 1:
		return g.pick("resource.service.name", ".service.name", "rootServiceName", "trace:rootService") + text("(cart|pay).*", serviceNames...)
	case 2:
		return g.pick("rootName", "trace:rootName") + text("(GET|POST).*", spanNames...)
	case 3:
		return "status" + equal + g.pick("ok", "error", "unset")
	case 4:
		return "kind" + equal + g.pick("server", "client", "internal", "producer", "consumer", "unspecified")
	case 5:
		return g.pick("duration", "traceDuration", "trace:duration") + g.comparison() + g.pick("1ms", "5ms", "20ms", "100ms", "0s")
	case 6:
		return g.pick("span", "") + ".http.request.method" + text("P.*", methods...)
	case 7:
		return g.pick("span", "") + ".http.response.status_code" + g.comparison() + g.pick("200", "404", "500", "300")
	case 8:
		return "span.db.rows" + g.comparison() + g.pick("0", "1", "-1", "2")
	case 9:
		return "span.amount" + g.comparison() + g.pick("0.0", "0.5", "1.0", "12.5", "1")
	case 10:
		return g.pick("span.cached = true", "span.cached != false", ".cached = false")
	case 11:
		return "span.tags" + g.pick(" = ", " != ", " < ", " >= ") + g.pick(`"red"`, `"green"`, `"blue"`)
	case 12:
		return "span.sizes" + g.comparison() + g.pick("0", "1", "2")
	case 13:
		return g.pick("span", "resource", "") + ".mixed" + g.pick(` = "x"`, ` != "x"`, " = 1", " != 1", " > 0", " = 0.5", " = true", " != true", ` < "y"`)
	case 14: // what "= nil" means to Tempo is in the list of differences
		return g.field() + " != nil"
	case 15:
		return "event:name" + text("exc.*", "exception", "retry", "")
	case 16:
		return "event." + g.pick("exception.type", "exception.message") + text(".*e.*", "TimeoutError", "no money")
	case 17:
		return g.pick("event.attempt"+g.comparison()+"1", "event:timeSinceStart"+g.comparison()+"2ms")
	case 18:
		return "link.reason" + text("r.*", "retried", "batch")
	case 19:
		return g.pick("instrumentation:name", "instrumentation:version", "instrumentation.language") + text("lib.*", "lib/http", "1.2", "go", "")
	case 20:
		return g.pick("nestedSetParent < 0", "nestedSetParent >= 0", "nestedSetParent = -1", "nestedSetParent > 0")
	case 21:
		return g.pick("statusMessage", "span:statusMessage") + text("dec.*", "declined", "")
	case 22:
		return g.number() + g.pick(" + ", " - ", " * ", " / ") + g.pick("1", "2") + g.comparison() + g.pick("0", "1", "400")
	}
	return g.pick("true", "false", "span.http.response.status_code = span.db.rows", "span.db.rows < span.amount", `span."a name with space" = "GET"`, `resource.process.pid = 1`, `1 = span.db.rows`)
}

func (g generator) comparison() string {
	return g.pick(" = ", " != ", " < ", " <= ", " > ", " >= ")
}

func (g generator) field() string {
	return g.pick("name", "kind", "status", "duration", "resource.service.name", "rootName", "rootServiceName", "statusMessage",
		"span.http.request.method", ".http.route", "span.http.response.status_code", "span.db.rows", "span.amount", "span.cached",
		"span.db.system.name", "resource.deployment.environment.name", "span.tags", "event:name", "event.exception.type",
		"link.reason", "instrumentation:name", "instrumentation.language", "span.absent", "resource.absent")
}
