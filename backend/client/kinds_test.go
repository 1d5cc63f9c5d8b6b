package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/server"
	"github.com/throughline/throughline/backend/server/servertest"
	"github.com/throughline/throughline/backend/span"
)

// The traces of testdata/traces that the tests ask for.
const (
	articleTrace   = "13d4a3861d886fc8452cb6063d28599a"
	duplicateTrace = "8be7aac6d07ceea7865625143c7d9f0d"
	missingTrace   = "000000000000000000000000000000ff"
)

// ask puts the same questions to a server of any kind and writes the answers.
func ask(t *testing.T, c Client, url string, start, end time.Time) string {
	t.Helper()
	var b strings.Builder
	say := func(question string, err error, lines ...string) {
		fmt.Fprintf(&b, "# %s\n", question)
		if err != nil {
			lines = []string{"error: " + strings.ReplaceAll(err.Error(), url, "http://server")}
		}
		for _, l := range lines {
			b.WriteString(l + "\n")
		}
		b.WriteByte('\n')
	}
	services, err := c.Services(t.Context())
	var lines []string
	for _, s := range services {
		lines = append(lines, fmt.Sprintf("%q %s", s.Name, counts(s.Counts)))
	}
	say("services", err, lines...)

	operations, err := c.Operations(t.Context(), "articles-service")
	lines = nil
	for _, o := range operations {
		lines = append(lines, fmt.Sprintf("%s %q %s %s", o.Service, o.Name, o.Kind, counts(o.Counts)))
	}
	say("operations of articles-service", err, lines...)

	for _, q := range []Query{
		{},
		{Filter: Filter{Service: "articles-service"}},
		{Filter: Filter{Status: span.StatusError}},
		{Filter: Filter{Service: "A", Name: "A₃", MinDuration: 200 * time.Millisecond}},
		{Filter: Filter{Service: "A", MinDuration: time.Hour}},
		{TraceQL: `{ resource.service.name = "payments" && name = "charge card" && status = error }`},
		{TraceQL: `{ name = "A₁" } ~ { name = "A₃" }`},
		{TraceQL: `{} | count() > 4`},
		{TraceQL: `{ not TraceQL`},
	} {
		q.Start, q.End, q.Limit = start, end, 50
		found, err := c.Search(t.Context(), q)
		lines = nil
		for _, m := range found.Traces {
			line := fmt.Sprintf("%s %q %q root=%t %s spans=%d errors=%d", m.TraceID, m.RootService, m.RootName, m.HasRoot, m.Duration(), m.SpanCount, m.ErrorCount)
			for _, s := range m.Spans {
				line += fmt.Sprintf("\n  %s %q %s", s.SpanID, s.Name, s.Duration)
			}
			lines = append(lines, line)
		}
		say("search "+q.traceQL(), err, lines...)
	}
	limited, err := c.Search(t.Context(), Query{Start: start, End: end, Limit: 2})
	say("search with limit 2", err, fmt.Sprintf("%d traces, truncated %t", len(limited.Traces), limited.Truncated))

	for _, text := range []string{articleTrace, duplicateTrace, missingTrace} {
		id, err := span.ParseTraceID(text)
		if err != nil {
			t.Fatal(err)
		}
		trace, err := c.Trace(t.Context(), id)
		lines = nil
		if err == nil {
			for i := range trace.Spans {
				s := &trace.Spans[i]
				lines = append(lines, fmt.Sprintf("%s<%s %s %q %s %s %s %d attributes", s.SpanID, s.ParentSpanID, s.ServiceName(), s.Name, s.Kind, s.Duration(), s.Status.Code, len(s.Attributes)))
			}
		} else if text != missingTrace || !errors.Is(err, ErrNotFound) {
			t.Errorf("trace %s: %v", text, err)
		}
		say("trace "+text, err, lines...)
	}

	for _, q := range []MetricsQuery{
		{TraceQL: `{} | count_over_time() by (resource.service.name)`, Step: 30 * time.Minute},
		{TraceQL: `{ resource.service.name = "A" } | count_over_time()`, Instant: true},
	} {
		q.Start, q.End = start, end
		series, err := c.Metrics(t.Context(), q)
		lines = nil
		for _, s := range series {
			line := ""
			for _, l := range s.Labels {
				line += fmt.Sprintf("%s=%s ", l.Key, l.Value.Text())
			}
			sum := 0.0
			for _, p := range s.Points {
				sum += p.Value
			}
			lines = append(lines, fmt.Sprintf("%ssum %v", line, sum))
		}
		say("metrics "+q.TraceQL, err, lines...)
	}
	return b.String()
}

func counts(c *Counts) string {
	if c == nil {
		return "-"
	}
	return fmt.Sprintf("%d/%d", c.Spans, c.Errors)
}

func TestJaeger(t *testing.T) {
	transport, url := newTape(t, "jaeger.json", *realJaeger)
	c, err := Open(t.Context(), Options{URL: url, Transport: transport})
	if err != nil || c.Kind() != KindJaeger {
		t.Fatalf("kind %v: %v", c, err)
	}
	golden(t, "jaeger.golden", ask(t, c, url, goldenStart, goldenEnd))
}

// A Tempo looks for fresh traces only: those that are recorded were sent with later
// times. Its answers are compared without the times.
func TestTempo(t *testing.T) {
	transport, url := newTape(t, "tempo.json", *realTempo)
	c, err := Open(t.Context(), Options{URL: url, Transport: transport})
	if err != nil || c.Kind() != KindTempo {
		t.Fatalf("kind %v: %v", c, err)
	}
	now := time.Now()
	golden(t, "tempo.golden", ask(t, c, url, now.Add(-time.Hour), now))
}

// The same questions to a whole server of ours, by its own API and by the two that
// it has for the clients of others.
func TestThroughline(t *testing.T) {
	s := servertest.Start(t, server.Config{})
	s.SendGolden(t)
	for kind, root := range map[Kind]string{KindThroughline: s.Base, KindTempo: s.Base + "/tempo", KindJaeger: s.Base} {
		t.Run(string(kind), func(t *testing.T) {
			c, err := open(t, Options{URL: root, Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "throughline-as-"+string(kind)+".golden", ask(t, c, root, goldenStart, goldenEnd))
		})
	}
	c, err := open(t, Options{URL: s.Base})
	if err != nil || c.Kind() != KindThroughline {
		t.Errorf("kind %v: %v", c, err)
	}
}

// Tail tells of a trace that arrives and that grows, and not of what was there.
func TestTail(t *testing.T) {
	s := servertest.Start(t, server.Config{})
	s.SendGolden(t)
	for kind, root := range map[Kind]string{KindThroughline: s.Base, KindTempo: s.Base + "/tempo", KindJaeger: s.Base} {
		t.Run(string(kind), func(t *testing.T) {
			c, err := open(t, Options{URL: root, Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var id span.TraceID
			copy(id[:], "tail of "+kind)
			found := make(chan Match, 100)
			ended := make(chan error, 1)
			go func() {
				ended <- c.Tail(ctx, Query{TraceQL: `{ name = "wanted" }`}, func(m Match) error {
					found <- m
					return nil
				})
			}()
			send := func(n int, name string) {
				now := time.Now().UnixNano()
				if kind == KindThroughline {
					now = goldenStart.UnixNano() // it is told of what is old, too
				}
				s.Send(t, fmt.Appendf(nil, `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"tailed"}}]},"scopeSpans":[{"spans":[
					{"traceId":"%s","spanId":"%016x","name":%q,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}]}]}]}`, id, n, name, now, now+int64(n)))
			}
			// When Tail has begun is not told, so spans come until it says so.
			sent := 0
			await := func(spans int) {
				t.Helper()
				for {
					sent++
					send(sent, "wanted")
					select {
					case m := <-found:
						if m.TraceID != id {
							t.Fatalf("found %s", m.TraceID)
						}
						if m.SpanCount >= spans {
							return
						}
					case err := <-ended:
						t.Fatalf("ended with %v", err)
					case <-time.After(200 * time.Millisecond):
					}
				}
			}
			await(1)
			await(sent + 1)
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	}
}
