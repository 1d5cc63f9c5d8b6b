package tracing_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// quiet is a log for servers whose handlers panic on purpose.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// lines is a log in memory.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// records returns the lines, decoded.
func (l *lines) records() (records []map[string]any) {
	for line := range strings.Lines(l.String()) {
		var r map[string]any
		if json.Unmarshal([]byte(line), &r) == nil {
			records = append(records, r)
		}
	}
	return records
}

// count is the number of lines with the message msg.
func (l *lines) count(msg string) (n int) {
	for _, r := range l.records() {
		if r["msg"] == msg {
			n++
		}
	}
	return n
}

// eventually waits until ok, for at most ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
