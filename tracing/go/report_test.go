package tracing

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestLossReport: one line at once, then with growing pauses while it lasts, each with what was lost since, and one
// when it is over.
func TestLossReport(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	now := time.Unix(0, 0)
	r := newLossReport("tempo:4317", func() *slog.Logger { return logger })
	r.now = func() time.Time { return now }

	boom := errors.New("connection refused")
	for i := range uint64(100) { // a failed batch of ten every second
		r.update(boom, i, 10*(i+1))
		now = now.Add(time.Second)
	}
	r.update(nil, 99, 1000) // exported again, but not for long
	r.update(boom, 99, 1010)
	now = now.Add(time.Hour)
	r.update(nil, 99, 1010)
	r.update(nil, 99, 1010)
	r.update(nil, 120, 1010) // drops alone are reported too
	want := `
level=WARN msg="spans are being lost" backend=tempo:4317 lost=10 dropped_total=0 failed_total=10 error="connection refused" next_report_in=30s
level=WARN msg="spans are being lost" backend=tempo:4317 lost=330 dropped_total=30 failed_total=310 error="connection refused" next_report_in=1m0s
level=WARN msg="spans are being lost" backend=tempo:4317 lost=660 dropped_total=90 failed_total=910 error="connection refused" next_report_in=2m0s
level=INFO msg="spans are exported again" backend=tempo:4317 dropped_total=99 failed_total=1010
level=WARN msg="spans are being lost" backend=tempo:4317 lost=21 dropped_total=120 failed_total=1010 next_report_in=30s
`
	if got := log.String(); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("log\n%s\nwant%s", got, want)
	}
}

func TestBackOffIsBounded(t *testing.T) {
	var b backOff
	now := time.Unix(0, 0)
	for range 30 {
		if !b.due(now) {
			t.Fatal("not due at its time")
		}
		if b.due(b.next.Add(-time.Nanosecond)) {
			t.Fatal("due before its time")
		}
		now = b.next
	}
	if b.pause != maxReportPause {
		t.Errorf("pause %v", b.pause)
	}
}

// TestErrorHandler: the same error with every request is one line.
func TestErrorHandler(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	h := newErrorHandler(func() *slog.Logger { return logger })
	for range 1000 {
		h.Handle(errors.New("boom"))
	}
	if n := strings.Count(log.String(), "boom"); n != 1 {
		t.Errorf("%d lines", n)
	}
}
