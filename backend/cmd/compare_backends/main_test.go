package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/backend/server"
	"github.com/throughline/throughline/backend/server/servertest"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/traceql"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const goldenTraces = "../../../testdata/traces"

func start(t *testing.T) *servertest.Server {
	return servertest.Start(t, server.Config{Data: ":memory:", JaegerGRPC: "127.0.0.1:0"})
}

func compareWith(t *testing.T, args ...string) (string, error) {
	t.Helper()
	t.Cleanup(client.CloseIdleConnections)
	var out bytes.Buffer
	err := run(t.Context(), args, &out, t.Output())
	return out.String(), err
}

// Two servers of ours that were sent the same answer the same to all that is asked.
func TestEqualServers(t *testing.T) {
	for _, kind := range []string{"tempo", "jaeger"} {
		t.Run(kind, func(t *testing.T) {
			a, b := start(t), start(t)
			args := []string{"--golden", goldenTraces, "--traces", "20", "--send", a.OTLP + "," + b.OTLP}
			prefix := ""
			if kind == "tempo" {
				prefix = "/tempo"
				args = append(args, "--random", "100")
			} else {
				args = append(args, "--grpc", a.JaegerGRPC+","+b.JaegerGRPC)
			}
			out, err := compareWith(t, append(args, kind, a.Base+prefix, b.Base+prefix)...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(out, " 0 with known differences, 0 different") {
				t.Error(out)
			}
			if strings.Contains(out, " 0 equal") {
				t.Error("nothing was compared:", out)
			}
		})
	}
}

// A server that lacks one span shows, in searches, metrics and Jaeger's answers, and
// not where it is known to differ.
func TestMissingSpanShows(t *testing.T) {
	a, b := start(t), start(t)
	at := time.Now().Add(-time.Minute).UTC().Truncate(10 * time.Second)
	c, err := makeCorpus(at, "", 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.sendTo(t.Context(), a.OTLP); err != nil {
		t.Fatal(err)
	}
	// The last of the longest trace has no children.
	longest := 0
	for i := range c.spans {
		if len(c.spans[i]) > len(c.spans[longest]) {
			longest = i
		}
	}
	n := len(c.spans[longest]) - 1
	lost := c.spans[longest][n]
	c.spans[longest] = c.spans[longest][:n]
	if err := c.sendTo(t.Context(), b.OTLP); err != nil {
		t.Fatal(err)
	}
	queries := filepath.Join(t.TempDir(), "queries")
	write := func(lines string) {
		if err := os.WriteFile(queries, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--at", at.Format(time.RFC3339), "--golden", "", "--traces", "5", "--queries", queries}

	write("# all\n{ }\n{ } | count_over_time()\n{ span.absent = 1 }\n")
	out, err := compareWith(t, append(args, "tempo", a.Base+"/tempo", b.Base+"/tempo")...)
	if !errors.Is(err, errDifferent) {
		t.Errorf("tempo: %v", err)
	}
	for _, want := range []string{"DIFFERENT search { }", "DIFFERENT range { } | count_over_time()", "DIFFERENT instant", lost.SpanID.String(), "4 requests: 1 equal", "3 different"} {
		if !strings.Contains(out, want) {
			t.Errorf("tempo: no %q in\n%s", want, out)
		}
	}

	write("/api/traces/{traceID}\n/api/v3/traces/{traceID}\n")
	grpc := a.JaegerGRPC + "," + b.JaegerGRPC
	out, err = compareWith(t, append(args, "--grpc", grpc, "jaeger", a.Base, b.Base)...)
	if !errors.Is(err, errDifferent) {
		t.Errorf("jaeger: %v", err)
	}
	for _, want := range []string{"DIFFERENT /api/traces/" + lost.TraceID.String(), "DIFFERENT gRPC /api/v3/traces/", "[" + lost.SpanID.String() + "]: there, nothing", "15 requests: 12 equal", "3 different"} {
		if !strings.Contains(out, want) {
			t.Errorf("jaeger: no %q in\n%s", want, out)
		}
	}

	known := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(known, []byte("^/api/ :: "+lost.SpanID.String()+" :: it was not sent\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = compareWith(t, append(args, "--known", known, "-v", "jaeger", a.Base, b.Base)...)
	if err != nil || !strings.Contains(out, "it was not sent") || !strings.Contains(out, "2 with known differences, 0 different") {
		t.Errorf("known differences: %v\n%s", err, out)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"tempo", "http://localhost"},
		{"zipkin", "a", "b"},
		{"--at", "noon", "tempo", "a", "b"},
		{"--grpc", "a", "jaeger", "a", "b"},
		{"--nothing", "tempo", "a", "b"},
	} {
		if _, err := compareWith(t, args...); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// The same settings make the same spans, whose ids are their own.
func TestCorpus(t *testing.T) {
	at := time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC)
	encoded := func(seed uint64) string {
		c, err := makeCorpus(at, goldenTraces, 30, seed)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.ids) < 35 {
			t.Errorf("%d traces", len(c.ids))
		}
		var all []span.Span
		for _, spans := range c.spans {
			all = append(all, spans...)
		}
		return string(span.EncodeProto(all))
	}
	first := encoded(1)
	if encoded(1) != first {
		t.Error("one seed makes different spans")
	}
	if encoded(2) == first {
		t.Error("two seeds make the same spans")
	}
}

// What is asked is TraceQL, and much of it.
func TestQueriesParse(t *testing.T) {
	lines, err := readFile("", tempoQueries)
	if err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, line := range lines {
		if !strings.HasPrefix(line, "/") {
			queries++
		}
	}
	if queries < 200 {
		t.Errorf("%d queries", queries)
	}
	g := generator{rand.New(rand.NewPCG(1, 2))}
	refused := 0
	for range 1000 {
		q := g.query()
		if _, err := traceql.Parse(q); err != nil {
			refused++
			t.Logf("%s: %v", q, err)
		}
	}
	if refused > 100 {
		t.Errorf("%d of 1000 random queries are refused", refused)
	}
}
