package ingest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/throughline/throughline/backend/ingest"
	"github.com/throughline/throughline/backend/span"
)

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

func TestHTTPExport(t *testing.T) {
	sent, protobuf, json := request(t)
	for name, c := range map[string]struct {
		contentType, encoding string
		body                  []byte
	}{
		"protobuf":          {protobufType, "", protobuf},
		"protobuf, gzip":    {protobufType, "gzip", zip(t, protobuf)},
		"protobuf, charset": {"Application/X-Protobuf; charset=utf-8", "identity", protobuf},
		"JSON":              {jsonType, "", json},
		"JSON, gzip":        {jsonType + "; charset=utf-8", "gzip", zip(t, json)},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, ingest.Config{})
			resp := r.post(t, "/v1/traces", map[string]string{"Content-Type": c.contentType, "Content-Encoding": c.encoding}, c.body)
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			wantType, want := protobufType, ""
			if strings.HasPrefix(c.contentType, jsonType) {
				wantType, want = jsonType, "{}"
			}
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != wantType || string(body) != want {
				t.Errorf("%s, %s, %q", resp.Status, resp.Header.Get("Content-Type"), body)
			}
			if got := r.db.Stats().Spans; got != sent.Traces().SpanCount() {
				t.Errorf("%d spans stored, want %d", got, sent.Traces().SpanCount())
			}
			if s := r.Stats(); s.AcceptedSpans != uint64(sent.Traces().SpanCount()) || s.RejectedSpans+s.RejectedRequests != 0 || s.LastAccepted.IsZero() || !s.LastRejected.Time.IsZero() {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestHTTPPartialSuccess(t *testing.T) {
	r := start(t, ingest.Config{})
	wire, err := mixed().MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	text, err := mixed().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	read := func(contentType string, body []byte) ptraceotlp.ExportPartialSuccess {
		resp := r.post(t, "/v1/traces", map[string]string{"Content-Type": contentType}, body)
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %v", resp.Status, err)
		}
		out := ptraceotlp.NewExportResponse()
		if contentType == jsonType {
			err = out.UnmarshalJSON(answer)
		} else {
			err = out.UnmarshalProto(answer)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out.PartialSuccess()
	}
	for _, p := range []ptraceotlp.ExportPartialSuccess{read(protobufType, wire), read(jsonType, text)} {
		const want = `3 spans rejected: 1 × span id of zeros (span "good" of service "mixed"); ` +
			`1 × end time before the start time (span "good" of service "mixed"); ` +
			`1 × start time before 2000-01-01 (span "good" of service "mixed")`
		if p.RejectedSpans() != 3 || p.ErrorMessage() != want {
			t.Errorf("%d, %s", p.RejectedSpans(), p.ErrorMessage())
		}
	}
	if s := r.Stats(); s.AcceptedSpans != 2 || s.RejectedSpans != 6 || s.RejectedRequests != 0 || s.LastRejected.Protocol != "http" {
		t.Errorf("%+v", s)
	}
}

func TestHTTPRefusals(t *testing.T) {
	_, protobuf, _ := request(t)
	const limit, decompressed = 100_000, 200_000
	bomb := zip(t, make([]byte, 50_000_000)) // 50 kB
	deep := span.EncodeProto([]span.Span{{Attributes: []span.Attribute{{Key: "a", Value: nested(40)}}}})
	for _, c := range []struct {
		name, path, contentType, encoding string
		body                              []byte
		status                            int
		code                              codes.Code
		want                              string
	}{
		{"malformed protobuf", "/v1/traces", protobufType, "", []byte("\x0a\xff"), 400, codes.InvalidArgument, "decoding OTLP: truncated protobuf"},
		{"malformed JSON", "/v1/traces", jsonType, "", []byte(`{"resourceSpans":`), 400, codes.InvalidArgument, "invalid JSON at byte 17"},
		{"empty JSON", "/v1/traces", jsonType, "", nil, 400, codes.InvalidArgument, "unexpected end"},
		{"JSON as protobuf", "/v1/traces", protobufType, "", []byte(`{}`), 400, codes.InvalidArgument, "decoding OTLP"},
		{"no content type", "/v1/traces", "", "", protobuf, 415, codes.InvalidArgument, `content type "": want application/x-protobuf or application/json`},
		{"text", "/v1/traces", "text/plain", "", protobuf, 415, codes.InvalidArgument, `content type "text/plain"`},
		{"zstd", "/v1/traces", protobufType, "zstd", protobuf, 415, codes.InvalidArgument, `content encoding "zstd": want gzip or none`},
		{"not gzip", "/v1/traces", protobufType, "gzip", protobuf, 400, codes.InvalidArgument, "gzip: invalid header"},
		{"empty gzip", "/v1/traces", protobufType, "gzip", nil, 400, codes.InvalidArgument, "gzip: unexpected EOF"},
		{"truncated gzip", "/v1/traces", protobufType, "gzip", zip(t, protobuf)[:200], 400, codes.InvalidArgument, "gzip: unexpected EOF"},
		{"corrupt gzip", "/v1/traces", protobufType, "gzip", flip(zip(t, protobuf), -6), 400, codes.InvalidArgument, "gzip: invalid checksum"},
		{"too large", "/v1/traces", protobufType, "", make([]byte, limit+1), 413, codes.ResourceExhausted, "request is too large: the limit is 100000 bytes"},
		{"bomb", "/v1/traces", jsonType, "gzip", bomb, 413, codes.ResourceExhausted, "too large after decompression: the limit is 200000 bytes"},
		{"nested too deep", "/v1/traces", protobufType, "", deep, 413, codes.ResourceExhausted, "nested too deep: the limit is 32 levels"},
		{"wrong path", "/v1/trace", protobufType, "", protobuf, 404, codes.NotFound, "POST /v1/trace: no such path, OTLP traces go to /v1/traces"},
		{"final slash", "/v1/traces/", jsonType, "", protobuf, 404, codes.NotFound, "POST /v1/traces/: no such path"},
		{"root", "/", protobufType, "", protobuf, 404, codes.NotFound, "POST /: no such path"},
		{"metrics", "/v1/metrics", protobufType, "", protobuf, 404, codes.NotFound, "metrics are not received here"},
		{"logs", "/v1/logs", protobufType, "", protobuf, 404, codes.NotFound, "logs are not received here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, ingest.Config{Limits: ingest.Limits{Body: limit, Decompressed: decompressed}})
			resp := r.post(t, c.path, map[string]string{"Content-Type": c.contentType, "Content-Encoding": c.encoding}, c.body)
			status := readStatus(t, resp)
			if resp.StatusCode != c.status || codes.Code(status.Code) != c.code || !strings.Contains(status.Message, c.want) {
				t.Errorf("%s, %s, %s", resp.Status, codes.Code(status.Code), status.Message)
			}
			if c.contentType == protobufType && resp.Header.Get("Content-Type") != protobufType {
				t.Errorf("answered in %s", resp.Header.Get("Content-Type"))
			}
			r.lastRejected(t, "http", c.want)
			if s := r.Stats(); s.RejectedRequests != 1 || s.AcceptedSpans != 0 || r.db.Stats().Spans != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// readStatus reads the google.rpc.Status of an error.
func readStatus(t *testing.T, resp *http.Response) *statuspb.Status {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var status statuspb.Status
	if resp.Header.Get("Content-Type") == jsonType {
		err = protojson.Unmarshal(body, &status)
	} else {
		err = proto.Unmarshal(body, &status)
	}
	if err != nil {
		t.Fatalf("%s: %v: %q", resp.Status, err, body)
	}
	return &status
}

func nested(depth int) span.Value {
	v := span.Int(1)
	for range depth {
		v = span.List([]span.Value{v})
	}
	return v
}

func flip(b []byte, at int) []byte {
	b[len(b)+at] ^= 1
	return b
}

// A body whose length is not told is bounded all the same.
func TestHTTPChunkedTooLarge(t *testing.T) {
	r := start(t, ingest.Config{Limits: ingest.Limits{Body: 1 << 20}})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url("/v1/traces"), io.LimitReader(zeros{}, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", protobufType)
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return // the server may close while the client still writes
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("%s", resp.Status)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestHTTPOtherMethods(t *testing.T) {
	r := start(t, ingest.Config{})
	for path, want := range map[string]int{"/v1/traces": 405, "/": 404, "/favicon.ico": 404, "/healthz": 200, "/readyz": 200} {
		resp, err := http.Get(r.url(path))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", path, resp.Status, want)
		}
		if allow := resp.Header.Get("Allow"); want == 405 && allow != "POST" {
			t.Errorf("Allow: %q", allow)
		}
	}
	if n := r.Stats().RejectedRequests; n != 1 { // the GET of /v1/traces; a browser that looks around is none
		t.Errorf("%d rejected", n)
	}
}

func TestCORS(t *testing.T) {
	_, _, json := request(t)
	preflight := func(r *receiver, origin string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, r.url("/v1/traces"), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", origin)
		request.Header.Set("Access-Control-Request-Method", "POST")
		request.Header.Set("Access-Control-Request-Headers", "content-type,x-tenant")
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	off := start(t, ingest.Config{})
	if resp := preflight(off, "https://shop.example"); resp.StatusCode != 403 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("by default: %s, %v", resp.Status, resp.Header)
	}
	off.lastRejected(t, "http", `a page of "https://shop.example" wants to send spans: --otlp-cors-origins allows it`)

	on := start(t, ingest.Config{Origins: []string{"https://shop.example"}})
	if resp := preflight(on, "https://evil.example"); resp.StatusCode != 403 {
		t.Errorf("another origin: %s", resp.Status)
	}
	resp := preflight(on, "https://shop.example")
	if resp.StatusCode != 204 || resp.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" ||
		!strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "x-tenant") {
		t.Errorf("allowed: %s, %v", resp.Status, resp.Header)
	}
	resp = on.post(t, "/v1/traces", map[string]string{"Content-Type": jsonType, "Origin": "https://shop.example"}, json)
	if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("post: %s, %v", resp.Status, resp.Header)
	}
}

func TestForeignHost(t *testing.T) {
	_, _, json := request(t)
	r := start(t, ingest.Config{AllowHost: func(host string) bool { return host != "evil.example" }})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url("/v1/traces"), bytes.NewReader(json))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "evil.example"
	request.Header.Set("Content-Type", jsonType)
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 403 || r.db.Stats().Spans != 0 {
		t.Errorf("%s, %d spans", resp.Status, r.db.Stats().Spans)
	}
}

// What a client sends that took the wrong port is told to it and remembered.
func TestWrongPort(t *testing.T) {
	_, protobuf, _ := request(t)
	t.Run("HTTP to gRPC", func(t *testing.T) {
		r := start(t, ingest.Config{})
		resp, err := http.Post("http://"+r.grpc+"/v1/traces", protobufType, bytes.NewReader(protobuf))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		want := "sent to the gRPC port: OTLP over HTTP goes to http://" + r.http + "/v1/traces"
		if err != nil || resp.StatusCode != 400 || !strings.Contains(string(body), want) {
			t.Errorf("%s, %v, %q", resp.Status, err, body)
		}
		r.lastRejected(t, "grpc", `"POST /v1/traces HTTP/1.1" `+want)
	})
	t.Run("TLS to gRPC", func(t *testing.T) {
		r := start(t, ingest.Config{})
		handshake(t, r.grpc)
		r.lastRejected(t, "grpc", "TLS sent to the gRPC port")
	})
	t.Run("TLS to HTTP", func(t *testing.T) {
		r := start(t, ingest.Config{})
		handshake(t, r.http)
		r.lastRejected(t, "http", "TLS sent to the HTTP port")
	})
	t.Run("noise to gRPC", func(t *testing.T) {
		r := start(t, ingest.Config{})
		conn, err := net.Dial("tcp", r.grpc)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, b := range []byte("PRI * HTTP/1.0") { // byte by byte
			if _, err := conn.Write([]byte{b}); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		r.lastRejected(t, "grpc", `"PRI * HTTP/1`)
	})
}

func handshake(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	if conn, err := d.DialContext(ctx, "tcp", address); err == nil {
		conn.Close()
		t.Error("the handshake succeeded")
	} else if ctx.Err() != nil {
		t.Error("the client was left waiting")
	}
}

func TestStoppingServerAnswers503(t *testing.T) {
	_, _, json := request(t)
	r := start(t, ingest.Config{})
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	resp := r.post(t, "/v1/traces", map[string]string{"Content-Type": jsonType}, json)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || codes.Code(readStatus(t, resp).Code) != codes.Unavailable {
		t.Errorf("%s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
}

// A request that takes more memory than all together may is refused for good: its
// client would try again for ever.
func TestNeverInFlight(t *testing.T) {
	r := start(t, ingest.Config{Limits: ingest.Limits{InFlight: 1 << 20}})
	resp := r.post(t, "/v1/traces", map[string]string{"Content-Type": jsonType}, bytes.Repeat([]byte(" "), 2<<20))
	if resp.StatusCode != http.StatusRequestEntityTooLarge || codes.Code(readStatus(t, resp).Code) != codes.ResourceExhausted {
		t.Error(resp.Status)
	}
}

// Requests beyond the memory allowed in work are asked to try again, and taken then.
func TestInFlight(t *testing.T) {
	_, _, json := request(t)
	r := start(t, ingest.Config{Limits: ingest.Limits{Body: 1 << 20, InFlight: 1 << 20}})
	post := func() int {
		return r.post(t, "/v1/traces", map[string]string{"Content-Type": jsonType}, json).StatusCode
	}
	if got := post(); got != 200 {
		t.Fatalf("at first: %d", got)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	// holding begins a request that takes half of the room and does not end.
	holding := func() (*io.PipeWriter, chan error) {
		body, hold := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url("/v1/traces"), body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", jsonType)
		held := make(chan error, 1)
		go func() {
			resp, err := client.Do(request)
			if err == nil {
				resp.Body.Close()
			}
			held <- err
		}()
		// It is read by the server some time after it is written here.
		hold.Write(bytes.Repeat([]byte(" "), 490_000))
		return hold, held
	}
	hold, held := holding()
	began := time.Now()
	for deadline := began.Add(20 * time.Second); post() != 503; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never refused")
		}
		// Where one of the small requests was there first, this one was refused;
		// its answer waits for the body's end.
		if time.Since(began) > 500*time.Millisecond {
			hold.CloseWithError(io.ErrUnexpectedEOF)
			<-held
			hold, held = holding()
			began = time.Now()
		}
	}
	hold.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-held; err == nil {
		t.Error("a request cut off was answered")
	}
	for deadline := time.Now().Add(10 * time.Second); post() != 200; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("refused for ever")
		}
	}
}
