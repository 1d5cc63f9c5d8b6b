package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// killed is a run of the real program on a directory.
type killed struct {
	cmd                *exec.Cmd
	ui, grpc, http     string
	stderr             lockedBuffer
	readyAfter         time.Duration
	stderrRead, reaped chan struct{}
}

func startKilled(t *testing.T, program, dir string) *killed {
	t.Helper()
	began := time.Now()
	k := &killed{stderrRead: make(chan struct{}), reaped: make(chan struct{})}
	k.cmd = exec.Command(program, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--jaeger-grpc", "")
	stderr, err := k.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.kill(t) })
	lines := bufio.NewScanner(stderr)
	ready := regexp.MustCompile(`msg=ready ui=(\S+) otlp_grpc=(\S+) otlp_http=(\S+)`)
	for k.ui == "" && lines.Scan() {
		fmt.Fprintln(&k.stderr, lines.Text())
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			k.ui, k.grpc, k.http, k.readyAfter = m[1], m[2], m[3], time.Since(began)
		}
	}
	if k.ui == "" {
		t.Fatalf("the server is not ready: %s", k.stderr.String())
	}
	go func() {
		defer close(k.stderrRead)
		io.Copy(&k.stderr, stderr)
	}()
	return k
}

// kill is kill -9, and waits until the process is gone.
func (k *killed) kill(t *testing.T) {
	select {
	case <-k.reaped:
		return
	default:
	}
	if err := k.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-k.stderrRead
	k.cmd.Wait()
	close(k.reaped)
}

// TestKill kills the real program with -9 in the middle of load, again and again
// on one directory, which has logs only at first, and then a segment too. What was
// acknowledged is there each time it runs again, whole requests only, with the
// bytes that were sent.
func TestKill(t *testing.T) {
	program := filepath.Join(t.TempDir(), "throughline")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := t.TempDir()
	load := &killLoad{acknowledged: map[int]bool{}}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		k := startKilled(t, program, dir)
		load.check(t, k)
		if round == 2 {
			awaitSegment(t, dir)
		}
		load.send(t, k, load.count()+20+rng.IntN(200))
		k.kill(t)
		load.clients.Wait()
		http.DefaultClient.CloseIdleConnections()
		t.Logf("round %d: ready after %s, %d requests acknowledged of %d sent", round, k.readyAfter.Round(time.Millisecond), load.count(), load.next)
	}
	db, err := store.Open(dir, store.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if n := db.Stats().CorruptFiles; n != 0 {
		t.Errorf("%d files are corrupt", n)
	}
	for n := range load.next {
		trace, _, err := db.Trace(t.Context(), killTrace(n))
		switch {
		case err != nil && load.acknowledged[n]:
			t.Errorf("request %d was acknowledged and is lost: %v", n, err)
		case err == nil && !equalSpans(trace.Spans, killSpansOf(n)):
			t.Errorf("request %d: %d spans that are not those sent, want all %d or none", n, len(trace.Spans), killSpans)
		}
	}
}

// awaitSegment waits until an idle head has been sealed.
func awaitSegment(t *testing.T, dir string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		found, err := filepath.Glob(filepath.Join(dir, "*.seg"))
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("no segment: %v", err)
		}
		if len(found) > 0 {
			return
		}
	}
}

// killLoad is what clients have sent to a server that is killed.
type killLoad struct {
	clients sync.WaitGroup

	mu           sync.Mutex
	acknowledged map[int]bool
	next         int
}

func (l *killLoad) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// send has four clients send, two of each protocol, and returns when target
// requests are acknowledged; the clients go on until the server is gone.
func (l *killLoad) send(t *testing.T, k *killed, target int) {
	t.Helper()
	conn, err := grpc.NewClient(k.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	enough := make(chan struct{})
	for client := range 4 {
		l.clients.Go(func() {
			for {
				l.mu.Lock()
				n := l.next
				l.next++
				l.mu.Unlock()
				if client%2 == 0 && !postKilled(t, k, n) || client%2 == 1 && !exportKilled(t, conn, n) {
					return
				}
				l.mu.Lock()
				l.acknowledged[n] = true
				if len(l.acknowledged) == target {
					close(enough)
				}
				l.mu.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(60 * time.Second):
		t.Error("too slow")
	}
}

// postKilled is false when the server is gone.
func postKilled(t *testing.T, k *killed, n int) bool {
	resp, err := http.Post("http://"+k.http+"/v1/traces", "application/x-protobuf", bytes.NewReader(span.EncodeProto(killSpansOf(n))))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("request %d: %s", n, resp.Status)
		return false
	}
	return true
}

func exportKilled(t *testing.T, conn *grpc.ClientConn, n int) bool {
	request := ptraceotlp.NewExportRequest()
	if err := request.UnmarshalProto(span.EncodeProto(killSpansOf(n))); err != nil {
		t.Error(err)
		return false
	}
	_, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), request)
	return err == nil
}

// check asks a server that has started again for all that was acknowledged.
func (l *killLoad) check(t *testing.T, k *killed) {
	t.Helper()
	for n := range l.acknowledged {
		resp, err := http.Get(k.ui + "/api/native/v1/traces/" + killTrace(n).String())
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Trace struct{ SpanCount int } }
		err = json.NewDecoder(resp.Body).Decode(&answer)
		resp.Body.Close()
		if err != nil || answer.Trace.SpanCount != killSpans {
			t.Errorf("request %d was acknowledged, and after a kill the server answers %s with %d spans, %v", n, resp.Status, answer.Trace.SpanCount, err)
		}
	}
}

const killSpans = 50

// killTrace is the trace of request n, of which it has all spans.
func killTrace(n int) (id span.TraceID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)+1)
	return id
}

var killStart = uint64(time.Now().UnixNano())

func killSpansOf(n int) []span.Span {
	resource, scope := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String("killed")}}}, &span.Scope{}
	var spans []span.Span
	for i := range killSpans {
		start := killStart + uint64(n*killSpans+i)
		spans = append(spans, span.Span{
			TraceID: killTrace(n), SpanID: span.SpanID{byte(i + 1)}, Name: fmt.Sprint("step ", i), StartTime: start, EndTime: start + 1000,
			Attributes: []span.Attribute{{Key: "n", Value: span.Int(int64(n))}, {Key: "text", Value: span.String(fmt.Sprint("text ", n, i))}},
			Resource:   resource, Scope: scope,
		})
	}
	return spans
}

func equalSpans(a, b []span.Span) bool {
	return bytes.Equal(span.EncodeProto(a), span.EncodeProto(b))
}
