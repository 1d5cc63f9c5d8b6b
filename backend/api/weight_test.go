package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Of one trace in four kept, statistics and metrics of the native API and the
// metrics and dependencies of Jaeger's say how many there were; lists, and Tempo's
// metrics, say how many are held.
func TestSampledCounts(t *testing.T) {
	f := serve(t)
	batch := &span.Batch{}
	origin := func(service string) *span.Resource {
		return &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String(service)}}}
	}
	client, server, scope := origin("a"), origin("b"), &span.Scope{}
	start := uint64(received.Add(-10 * time.Second).UnixNano())
	for i := range 5 {
		s := span.Span{
			TraceID: span.TraceID{1, byte(i)}, SpanID: span.SpanID{1}, Name: "ask", Kind: span.KindClient, TraceState: "ot=th:c",
			StartTime: start, EndTime: start + 2e6, Resource: client, Scope: scope,
		}
		if i == 4 {
			s.TraceState = "" // kept whatever the share
			s.EndTime += 98e6
		}
		child := s
		child.SpanID, child.ParentSpanID, child.Name, child.Kind, child.Resource = span.SpanID{2}, s.SpanID, "answer", span.KindServer, server
		if i == 0 {
			child.Status.Code = span.StatusError
		}
		batch.Spans = append(batch.Spans, s, child)
	}
	if err := f.db.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	count := url.QueryEscape("{ kind = server } | count_over_time()")
	slow := url.QueryEscape("{ kind = server } | quantile_over_time(duration, .85)")
	for path, want := range map[string][]string{
		"/api/native/v1/operations/statistics?service=b":                   {`"spanCount":17,"errorCount":4,`, `"errorRatio":0.23529411764705882`, `"p90":"2007040"`, `"max":"100139008"`},
		"/api/native/v1/edges":                                             {`"callCount":17,"errorCount":4,`},
		"/api/native/v1/operations?service=b":                              {`"spanCount":5,"errorCount":1`},
		"/api/native/v1/services":                                          {`"spanCount":5,"errorCount":1`},
		"/api/native/v1/metrics/instant?q=" + count:                        {`"value":17`},
		"/api/native/v1/metrics/instant?weighted=true&q=" + count:          {`"value":17`},
		"/api/native/v1/metrics/instant?weighted=false&q=" + count:         {`"value":5`},
		"/api/native/v1/metrics?step=1h&q=" + count:                        {`"value":17`},
		"/api/native/v1/metrics?step=1h&weighted=false&q=" + count:         {`"value":5`},
		"/api/native/v1/metrics/instant?q=" + slow:                         {`"value":0.002`},
		"/api/native/v1/metrics/instant?weighted=false&q=" + slow:          {`"value":0.1`},
		"/api/native/v1/metrics/instant?weighted=maybe&q=" + count:         {`weighted \"maybe\":want true or false`},
		"/tempo/api/metrics/query?q=" + count:                              {`"value":5`},
		"/tempo/api/metrics/query_range?step=1h&q=" + count:                {`"value":5`},
		"/api/metrics/calls?service=b&lookback=0&step=60000&ratePer=60000": {fmt.Sprintf(`"doubleValue":%v`, 17.0/60)},
		"/api/metrics/errors?service=b&lookback=0&step=60000":              {fmt.Sprintf(`"doubleValue":%v`, 4.0/17)},
		"/api/dependencies?endTs=1790000060000&lookback=3600000":           {`"callCount":17`},
	} {
		_, body := f.get(t, path)
		body = strings.ReplaceAll(body, ": ", ":")
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: %s\nis not in %s", path, w, body)
			}
		}
	}
}
