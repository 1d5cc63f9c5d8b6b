package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/throughline/throughline/backend/server"
)

// serving runs `throughline serve`'s server on a directory until stop.
func serving(t *testing.T, config server.Config) (a server.Addresses, stop func()) {
	t.Helper()
	config.Listen, config.OTLPGRPC, config.OTLPHTTP = "127.0.0.1:0", "", "127.0.0.1:0"
	config.Log = slog.New(slog.DiscardHandler)
	config.Store.Durability.Sync = true
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan server.Addresses, 1), make(chan error, 1)
	go func() { ended <- server.Run(ctx, config, func(a server.Addresses) { ready <- a }) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	select {
	case a = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	return a, stop
}

func exported(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), append([]string{"export"}, args...), nil, &out, os.Stderr); err != nil {
		t.Fatalf("export %q: %v", args, err)
	}
	return out.String()
}

// What a client sends comes back from a server and from its directory, whatever it
// is: every field of random requests, made, sent and read by pdata.
func TestExportGivesBackWhatCame(t *testing.T) {
	dir := t.TempDir()
	a, stop := serving(t, server.Config{Data: dir})
	rng := rand.New(rand.NewPCG(5, 5))
	want := map[string]string{}
	for n := range 40 {
		td := randomTraces(rng, n)
		for id, s := range spansOf(td) {
			want[id] = s
		}
		wire, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
		contentType := "application/x-protobuf"
		if n%2 == 1 {
			wire, err = ptraceotlp.NewExportRequestFromTraces(td).MarshalJSON()
			contentType = "application/json"
		}
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post("http://"+a.OTLPHTTP+"/v1/traces", contentType, bytes.NewReader(wire))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || strings.Contains(string(body), "rejected") {
			t.Fatalf("%s: %s", resp.Status, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	compare := func(from, text string) {
		t.Helper()
		if diff := cmp.Diff(want, readBack(t, text)); diff != "" {
			t.Errorf("%s (-sent +exported):\n%s", from, diff)
		}
	}
	compare("from the server", exported(t, "--url", a.URL()))
	stop()
	compare("from the directory", exported(t, "--data", dir))
	for name, open := range map[string]func(io.Reader) (io.Reader, error){
		"out.jsonl":     func(r io.Reader) (io.Reader, error) { return r, nil },
		"out.jsonl.gz":  func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"out.jsonl.zst": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	} {
		file := filepath.Join(t.TempDir(), name)
		exported(t, "--data", dir, "-o", file)
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := open(f)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		compare(name, string(text))
	}

	// Sent to an empty server, the lines are the same store again.
	b, _ := serving(t, server.Config{})
	for line := range strings.Lines(exported(t, "--data", dir)) {
		resp, err := http.Post("http://"+b.OTLPHTTP+"/v1/traces", "application/json", strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	compare("sent again", exported(t, "--url", b.URL()))
	http.DefaultClient.CloseIdleConnections()
}

// readBack reads lines of OTLP JSON as the Collector does, spans by trace and span id.
func readBack(t *testing.T, text string) map[string]string {
	t.Helper()
	got := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(lines.Bytes())
		if err != nil {
			t.Fatalf("%v: %.200s", err, lines.Text())
		}
		for id, s := range spansOf(td) {
			if _, twice := got[id]; twice {
				t.Errorf("span %s is there twice", id)
			}
			got[id] = s
		}
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return got
}

// spansOf writes each span with its resource and scope as text that is the same
// for equal ones.
func spansOf(td ptrace.Traces) map[string]string {
	all := map[string]string{}
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				one := ptrace.NewTraces()
				r := one.ResourceSpans().AppendEmpty()
				rs.Resource().CopyTo(r.Resource())
				r.SetSchemaUrl(rs.SchemaUrl())
				c := r.ScopeSpans().AppendEmpty()
				ss.Scope().CopyTo(c.Scope())
				c.SetSchemaUrl(ss.SchemaUrl())
				s.CopyTo(c.Spans().AppendEmpty())
				text, err := (&ptrace.JSONMarshaler{}).MarshalTraces(one)
				if err != nil {
					text = []byte(err.Error())
				}
				all[s.TraceID().String()+"/"+s.SpanID().String()] = string(text)
			}
		}
	}
	return all
}

// randomTraces makes a request in which every field of OTLP is set now and then.
func randomTraces(rng *rand.Rand, n int) ptrace.Traces {
	td := ptrace.NewTraces()
	count := func() uint32 { return []uint32{0, 1, 70_000, math.MaxUint32}[rng.IntN(4)] }
	for range 1 + rng.IntN(3) {
		rs := td.ResourceSpans().AppendEmpty()
		rs.SetSchemaUrl(randomText(rng))
		randomMap(rng, rs.Resource().Attributes(), 3)
		rs.Resource().Attributes().PutStr("service.name", fmt.Sprint("service-", rng.IntN(4)))
		rs.Resource().SetDroppedAttributesCount(count())
		for range 1 + rng.IntN(2) {
			ss := rs.ScopeSpans().AppendEmpty()
			ss.SetSchemaUrl(randomText(rng))
			ss.Scope().SetName(randomText(rng))
			ss.Scope().SetVersion(randomText(rng))
			randomMap(rng, ss.Scope().Attributes(), 2)
			ss.Scope().SetDroppedAttributesCount(count())
			for range 1 + rng.IntN(6) {
				s := ss.Spans().AppendEmpty()
				var trace [16]byte
				trace[0], trace[15] = byte(n%7), byte(1+rng.IntN(5)) // traces over many requests
				s.SetTraceID(trace)
				s.SetSpanID(randomID(rng))
				if rng.IntN(2) == 0 {
					s.SetParentSpanID(randomID(rng))
				}
				s.TraceState().FromRaw(randomText(rng))
				s.SetFlags(count())
				s.SetName(randomText(rng))
				s.SetKind(ptrace.SpanKind(rng.IntN(6)))
				at := time.Unix(1_700_000_000, rng.Int64N(int64(100*24*time.Hour)))
				s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
				s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Duration(rng.Int64N(int64(time.Hour))))))
				s.Status().SetCode(ptrace.StatusCode(rng.IntN(3)))
				s.Status().SetMessage(randomText(rng))
				randomMap(rng, s.Attributes(), 4)
				s.SetDroppedAttributesCount(count())
				s.SetDroppedEventsCount(count())
				s.SetDroppedLinksCount(count())
				for range rng.IntN(3) {
					e := s.Events().AppendEmpty()
					e.SetName(randomText(rng))
					e.SetTimestamp(pcommon.NewTimestampFromTime(at))
					randomMap(rng, e.Attributes(), 2)
					e.SetDroppedAttributesCount(count())
				}
				for range rng.IntN(3) {
					l := s.Links().AppendEmpty()
					l.SetTraceID([16]byte{byte(1 + rng.IntN(9))})
					l.SetSpanID(randomID(rng))
					l.TraceState().FromRaw(randomText(rng))
					l.SetFlags(count())
					randomMap(rng, l.Attributes(), 2)
					l.SetDroppedAttributesCount(count())
				}
			}
		}
	}
	return td
}

func randomID(rng *rand.Rand) (id [8]byte) {
	for i := range id {
		id[i] = byte(1 + rng.IntN(255))
	}
	return id
}

func randomText(rng *rand.Rand) string {
	return []string{"", "a", "größe ≤ 🚀", "\"quoted\" \\ \n\t", "</script>", strings.Repeat("long ", 400)}[rng.IntN(6)]
}

func randomMap(rng *rand.Rand, m pcommon.Map, depth int) {
	for i := range rng.IntN(4) {
		randomValue(rng, m.PutEmpty(fmt.Sprint("key.", i, rng.IntN(3))), depth)
	}
}

func randomValue(rng *rand.Rand, v pcommon.Value, depth int) {
	switch n := rng.IntN(8); {
	case n == 0: // nothing
	case n == 1:
		v.SetBool(rng.IntN(2) == 0)
	case n == 2:
		v.SetInt([]int64{0, -1, math.MaxInt64, math.MinInt64, 200}[rng.IntN(5)])
	case n == 3:
		v.SetDouble([]float64{0, math.Inf(1), math.Inf(-1), math.NaN(), rng.NormFloat64(), math.MaxFloat64, 5e-324}[rng.IntN(7)])
	case n == 4:
		v.SetEmptyBytes().FromRaw([]byte("\xff\x00" + randomText(rng)))
	case n == 5 && depth > 0:
		for range rng.IntN(4) {
			randomValue(rng, v.SetEmptySlice().AppendEmpty(), depth-1)
		}
	case n == 6 && depth > 0:
		randomMap(rng, v.SetEmptyMap(), depth-1)
	default:
		v.SetStr(randomText(rng))
	}
}

// send stores one span, in JSON.
func send(t *testing.T, a server.Addresses, trace, span int, service string, start time.Time) {
	t.Helper()
	body := fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":%q}}]},"scopeSpans":[{"spans":[{"traceId":"%032x","spanId":"%016x","name":"x","startTimeUnixNano":"%d","endTimeUnixNano":"%d"}]}]}]}`,
		service, trace, span, start.UnixNano(), start.Add(time.Second).UnixNano())
	resp, err := http.Post("http://"+a.OTLPHTTP+"/v1/traces", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

func TestExportSelects(t *testing.T) {
	a, _ := serving(t, server.Config{APIToken: server.Token{Value: "token-of-the-readers"}})
	now := time.Now()
	send(t, a, 1, 1, "a", now.Add(-3*time.Hour))
	send(t, a, 2, 1, "b", now.Add(-2*time.Hour))
	send(t, a, 3, 1, "a", now.Add(-time.Hour))
	send(t, a, 3, 2, "b", now.Add(-time.Hour))
	http.DefaultClient.CloseIdleConnections()
	t.Setenv("THROUGHLINE_API_TOKEN", "token-of-the-readers")
	t.Setenv("THROUGHLINE_URL", a.URL())
	t.Setenv("THROUGHLINE_DATA", "/nonexistent") // is the server's
	for args, want := range map[string]string{
		"":                         "1 2 3 3",
		"--service a":              "1 3 3",
		"--service nobody":         "",
		"--trace 2":                "2",
		"--trace 2 --service a":    "",
		"--from 2h30m":             "2 3 3",
		"--from 2h30m --to 90m":    "2",
		"--to 150m":                "1",
		"--trace 00000003":         "3 3",
		"--service b --from 100m":  "3 3",
		"--from 1 --to 9999999999": "",
		"--from " + now.Add(-90*time.Minute).UTC().Format(time.RFC3339): "3 3",
	} {
		var got []string
		for id := range readBack(t, exported(t, strings.Fields(args)...)) {
			got = append(got, strings.TrimLeft(strings.SplitN(id, "/", 2)[0], "0"))
		}
		if slices.Sort(got); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}

// Many traces that start in the same nanosecond are exported once each.
func TestExportPagesThroughTies(t *testing.T) {
	a, _ := serving(t, server.Config{})
	const n = 2345
	start := time.Unix(1_790_000_000, 0)
	var b strings.Builder
	for i := range n {
		at := start
		if i%5 == 0 {
			at = start.Add(-time.Duration(i))
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"traceId":"%032x","spanId":"0000000000000001","name":"x","startTimeUnixNano":"%d","endTimeUnixNano":"%d"}`, i+1, at.UnixNano(), at.Add(time.Hour).UnixNano())
	}
	resp, err := http.Post("http://"+a.OTLPHTTP+"/v1/traces", "application/json", strings.NewReader(`{"resourceSpans":[{"scopeSpans":[{"spans":[`+b.String()+`]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if got := len(readBack(t, exported(t, "--url", a.URL()))); got != n {
		t.Errorf("%d traces, want %d", got, n)
	}
}

func TestExportRefuses(t *testing.T) {
	dir := t.TempDir()
	a, _ := serving(t, server.Config{Data: dir, APIToken: server.Token{Value: "token-of-the-readers"}})
	for args, want := range map[string]string{
		"--data " + dir:                "in use by another process",
		"--data " + dir + "/no":        "no such file",
		"--url " + a.URL():             "a token is needed to read here",
		"--url localhost:16686":        "want http://host:port",
		"--url http://127.0.0.1:1":     "refused",
		"--data x --url http://x":      "give one of them",
		"--from yesterday":             "--from \"yesterday\": want a time",
		"--from 1h --to 2h":            "--from is after --to",
		"--trace xyz":                  "--trace \"xyz\"",
		"--data " + dir + " -o " + dir: "not a regular file",
		"extra":                        "unknown command",
	} {
		err := run(t.Context(), append([]string{"export"}, strings.Fields(args)...), nil, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
	// A failed export leaves no file behind.
	out := t.TempDir()
	if err := run(t.Context(), []string{"export", "--url", a.URL(), "-o", filepath.Join(out, "x.zst")}, nil, io.Discard, io.Discard); err == nil {
		t.Error("no error")
	}
	if left, _ := os.ReadDir(out); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
