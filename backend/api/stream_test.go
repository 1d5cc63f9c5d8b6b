package api_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// traces makes n traces of one span.
func traces(from, n int) *span.Batch {
	b := &span.Batch{}
	for i := range n {
		s := span.Span{Name: "n", SpanID: span.SpanID{1}, StartTime: 1_790_000_000_000_000_000, EndTime: 1_790_000_000_000_000_001}
		binary.BigEndian.PutUint64(s.TraceID[:], uint64(from+i+1))
		b.Spans = append(b.Spans, s)
	}
	return b
}

// More changes than a stream remembers are told by a reset, after which the
// stream goes on.
func TestStreamReset(t *testing.T) {
	f := serve(t)
	e := f.stream(t, "name=n")
	if err := f.db.Append(t.Context(), traces(0, 30_000)); err != nil {
		t.Fatal(err)
	}
	if name, _ := e.next(t); name != "reset" {
		t.Errorf("got %s, want reset", name)
	}
	for range 10_000 {
		if name, _ := e.next(t); name != "trace" {
			t.Fatalf("got %s", name)
		}
	}
	if err := f.db.Append(t.Context(), traces(50_000, 1)); err != nil {
		t.Fatal(err)
	}
	if _, data := e.next(t); !strings.Contains(data, `"traceId":"000000000000c351`) {
		t.Errorf("after the reset: %s", data)
	}
}

// Several arrivals of a trace within a short time are one event.
func TestStreamGathers(t *testing.T) {
	f := serve(t)
	e := f.stream(t, "")
	for i := range 100 {
		b := traces(0, 1)
		binary.BigEndian.PutUint64(b.Spans[0].SpanID[:], uint64(i+1))
		if err := f.db.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	events := 0
	for seen := ""; !strings.Contains(seen, `"spanCount":100,`); events++ {
		_, seen = e.next(t)
	}
	if events > 50 {
		t.Errorf("%d events for 100 arrivals", events)
	}
}

// A client that reads nothing holds up neither appends nor other clients.
func TestStreamStuckClient(t *testing.T) {
	f := serve(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.web.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(conn, "GET /api/native/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// Wait for the answer to begin, then read no more.
	if _, err := bufio.NewReaderSize(conn, 16).ReadByte(); err != nil {
		t.Fatal(err)
	}
	other := f.stream(t, "name=last")
	began := time.Now()
	for i := range 60 {
		if err := f.db.Append(t.Context(), traces(i*1000, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("60,000 spans took %s to append", took)
	}
	b := traces(100_000, 1)
	b.Spans[0].Name = "last"
	if err := f.db.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	// A reset comes instead when all of it fell into one gathering.
	if name, data := other.next(t); name != "reset" && (name != "trace" || !strings.Contains(data, `"rootName":"last"`)) {
		t.Errorf("the other client got %s %s", name, data)
	}
}

func TestStreamLimit(t *testing.T) {
	f := serve(t)
	for range 100 {
		f.stream(t, "")
	}
	status, body := f.get(t, "/api/native/v1/stream")
	if status != 503 || errorOf(t, body) != "unavailable 100 streams are open, which is the most" {
		t.Errorf("%d: %s", status, body)
	}
}
