package client

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/traceql"
)

func TestFilterTraceQL(t *testing.T) {
	for want, f := range map[string]Filter{
		`{}`: {},
		`{ resource.service.name = "a\"b\\c" && name = "GET /" }`:                                {Service: `a"b\c`, Name: "GET /"},
		`{ kind = server && status = error }`:                                                    {Kind: span.KindServer, Status: span.StatusError},
		`{ duration >= 250ms && duration <= 2s }`:                                                {MinDuration: 250 * time.Millisecond, MaxDuration: 2 * time.Second},
		`{ duration >= 1500us && duration <= 1500000001ns }`:                                     {MinDuration: 1500 * time.Microsecond, MaxDuration: 1500000001},
		`{ .http.route = "/a" && (.n = "5" || .n = 5) && (.ok = "true" || .ok = true) }`:         {Attributes: []AttributeFilter{{"http.route", "/a"}, {"n", "5"}, {"ok", "true"}}},
		`{ ."with space" = "v" && ."quo\"te" = "line\nbreak" && .big = "99999999999999999999" }`: {Attributes: []AttributeFilter{{"with space", "v"}, {`quo"te`, "line\nbreak"}, {"big", "99999999999999999999"}}},
	} {
		got := f.TraceQL()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if _, err := traceql.Parse(got); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

// What is asked of a Jaeger server is no more than what the query needs.
func TestPushedDown(t *testing.T) {
	for query, want := range map[string]Filter{
		`{}`: {},
		`{ resource.service.name = "a" && name = "b" && status = error && duration > 10ms && duration < 1s }`: {
			Service: "a", Name: "b", Status: span.StatusError, MinDuration: 10 * time.Millisecond, MaxDuration: time.Second + time.Microsecond,
		},
		`{ span.s = "x" && .i = 5 && span.b = true && span.f = 1.5 && resource.r = "y" && event.e = "z" }`: {
			Attributes: []AttributeFilter{{"s", "x"}, {"i", "5"}, {"b", "true"}},
		},
		`{ name = "a" } >> { resource.service.name = "b" }`:         {Service: "b"},
		`{ name = "a" } && { name = "b" }`:                          {Name: "a"},
		`{ resource.service.name = "a" || name = "b" }`:             {},
		`{ resource.service.name = "a" } || { name = "b" }`:         {},
		`{ resource.service.name != "a" && name =~ "b.*" }`:         {},
		`{ !(name = "a") && status != error && status = ok }`:       {},
		`{ .service.name = "a" && parent.name = "b" && name = "" }`: {},
		`{ resource.service.name = "a" } | count() > 3`:             {Service: "a"},
	} {
		q, err := traceql.Parse(query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if diff := cmp.Diff(want, pushedDown(q.Conditions().Need)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}
