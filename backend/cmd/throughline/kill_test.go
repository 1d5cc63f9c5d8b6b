package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

const killEnv = "THROUGHLINE_TEST_SERVE"

// TestServeProcess is the program of TestKill, and nothing by itself.
func TestServeProcess(t *testing.T) {
	dir := os.Getenv(killEnv)
	if dir == "" {
		t.Skip("started by TestKill only")
	}
	err := run(context.Background(), []string{
		"serve", "--data", dir, "--listen", "127.0.0.1:0", "--otlp-grpc", "", "--otlp-http", "127.0.0.1:0", "--jaeger-grpc", "",
	}, nil, io.Discard, os.Stderr)
	t.Fatal(err)
}

// TestKill kills the server with -9 in the middle of load, three times on one
// directory. Every span that was acknowledged is there afterwards, whole requests
// only.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	acknowledged := map[int]bool{}
	next := 0
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestServeProcess$")
		cmd.Env = append(os.Environ(), killEnv+"="+dir)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		address := ""
		lines := bufio.NewScanner(stderr)
		for address == "" && lines.Scan() {
			if m := regexp.MustCompile(`otlp_http=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
				address = m[1]
			}
		}
		if address == "" {
			t.Fatal("the server is not ready")
		}
		go io.Copy(io.Discard, stderr)
		enough := make(chan struct{})
		var clients sync.WaitGroup
		target := 150 * (round + 1)
		for range 4 {
			clients.Go(func() {
				for {
					mu.Lock()
					n := next
					next++
					mu.Unlock()
					resp, err := http.Post("http://"+address+"/v1/traces", "application/x-protobuf", bytes.NewReader(killRequest(n)))
					if err != nil {
						return // killed
					}
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						t.Errorf("request %d: %s", n, resp.Status)
						return
					}
					mu.Lock()
					acknowledged[n] = true
					if len(acknowledged) == target {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(30 * time.Second):
			t.Error("too slow")
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		clients.Wait()
		cmd.Wait()
	}
	db, err := store.Open(dir, store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for n := range next {
		var id span.TraceID
		binary.BigEndian.PutUint64(id[:], uint64(n)+1)
		trace, _, err := db.Trace(t.Context(), id)
		switch {
		case err != nil && acknowledged[n]:
			t.Errorf("request %d was acknowledged and is lost: %v", n, err)
		case err == nil && len(trace.Spans) != killSpans:
			t.Errorf("request %d: %d spans, want all %d or none", n, len(trace.Spans), killSpans)
		}
	}
	t.Logf("%d requests acknowledged of %d sent", len(acknowledged), next)
}

const killSpans = 50

func killRequest(n int) []byte {
	var id span.TraceID
	binary.BigEndian.PutUint64(id[:], uint64(n)+1)
	resource, scope := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String("killed")}}}, &span.Scope{}
	start := uint64(time.Now().UnixNano())
	var spans []span.Span
	for i := range killSpans {
		spans = append(spans, span.Span{
			TraceID: id, SpanID: span.SpanID{byte(i + 1)}, Name: fmt.Sprint("step ", i), StartTime: start, EndTime: start + 1000,
			Attributes: []span.Attribute{{Key: "n", Value: span.Int(int64(n))}}, Resource: resource, Scope: scope,
		})
	}
	return span.EncodeProto(spans)
}
