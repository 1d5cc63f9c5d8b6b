//go:build unix

package system

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this test binary play the parts that the real program plays:
// the guard, and a system that waits to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == GuardCommand {
		code, err := Guard(os.Args[3:], 300*time.Millisecond)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(code)
	}
	if len(os.Args) > 2 && os.Args[1] == "play-system" {
		if _, err := startProcess(os.Args[0], "child", ".", os.Environ(), os.Args[2:], &output{w: os.Stdout}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		select {}
	}
	os.Exit(m.Run())
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil {
		return false
	}
	// A zombie whose parent has not reaped it yet is no longer running.
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

// family is a shell that starts a grandchild and prints both pids.
const family = `sleep 1000 & echo $$ $!; `

func pids(t *testing.T, line string) (child, grandchild int) {
	t.Helper()
	_, line, _ = strings.Cut(line, "| ")
	if _, err := fmt.Sscan(line, &child, &grandchild); err != nil {
		t.Fatalf("reading pids from %q: %v", line, err)
	}
	return child, grandchild
}

func start(t *testing.T, script string) (*process, *buffer) {
	t.Helper()
	out := &buffer{}
	p, err := startProcess(os.Args[0], "child", t.TempDir(), os.Environ(), []string{"bash", "-c", script}, &output{w: out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p, out
}

func TestStopLetsTheChildFinish(t *testing.T) {
	p, out := start(t, `trap 'echo flushed; exit 0' TERM; echo started; while :; do sleep 0.01; done`)
	waitFor(t, "the start", func() bool { return strings.Contains(out.String(), "started") })
	p.stop()
	if !strings.Contains(out.String(), "child       | flushed\n") {
		t.Errorf("output %q", out)
	}
}

func TestStopKillsAChildThatIgnoresIt(t *testing.T) {
	p, out := start(t, family+`trap '' TERM; echo ready; while :; do sleep 0.01; done`)
	waitFor(t, "the start", func() bool { return strings.Contains(out.String(), "ready") })
	child, grandchild := pids(t, strings.SplitAfter(out.String(), "\n")[0])
	p.stop()
	waitFor(t, "the end of the child and its own", func() bool { return !alive(child) && !alive(grandchild) })
}

func TestChildThatEndsLeavesNothing(t *testing.T) {
	p, out := start(t, family+`exit 3`)
	<-p.exited
	_, grandchild := pids(t, out.String())
	waitFor(t, "the grandchild's end", func() bool { return !alive(grandchild) })
	if err := p.ended(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
}

func TestChildEndedByASignalIsSaid(t *testing.T) {
	p, _ := start(t, `kill -9 $$`)
	<-p.exited
	if err := p.ended(); err == nil || !strings.Contains(err.Error(), "signal 9") {
		t.Errorf("error %v", err)
	}
}

// What set-up runs ends with the system too.
func TestSetUpCommandEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := setup{Checkout(t.TempDir()), os.Args[0], t.Logf}
	done := make(chan error, 1)
	pidFile := s.path("pid")
	go func() { done <- s.command(ctx, "bash", "-c", "echo $$ >"+pidFile+"; sleep 1000 & wait") }()
	var pid int
	waitFor(t, "the command", func() bool {
		b, _ := os.ReadFile(pidFile)
		_, err := fmt.Sscan(string(b), &pid)
		return err == nil
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	waitFor(t, "its end", func() bool { return !alive(pid) })
	if err := s.command(t.Context(), "bash", "-c", "echo the reason; exit 2"); err == nil || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("error %v", err)
	}
	if err := s.command(t.Context(), "no-such-program-here"); err == nil {
		t.Error("no error")
	}
}

func TestChildDiesWithAKilledSystem(t *testing.T) {
	cmd := exec.Command(os.Args[0], "play-system", "bash", "-c", family+`wait`)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, grandchild := pids(t, line)
	if !alive(child) || !alive(grandchild) {
		t.Fatal("the child is not running")
	}
	cmd.Process.Kill()
	io.Copy(io.Discard, stdout)
	cmd.Wait()
	waitFor(t, "the child's end", func() bool { return !alive(child) && !alive(grandchild) })
}

// A guard that is killed itself takes its child with it, where the kernel can
// be asked for that.
func TestChildDiesWithAKilledGuard(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no kernel support: not Linux")
	}
	p, out := start(t, `echo $$ $PPID; while :; do sleep 0.01; done`)
	waitFor(t, "the start", func() bool { return strings.HasSuffix(out.String(), "\n") })
	child, guard := pids(t, out.String())
	if err := syscall.Kill(guard, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	waitFor(t, "the child's end", func() bool { return !alive(child) })
}

func TestCommandThatIsNotThere(t *testing.T) {
	p, out := start(t, `exec /no/such/program`)
	<-p.exited
	if p.err == nil || !strings.Contains(out.String(), "/no/such/program") {
		t.Errorf("error %v, output %q", p.err, out)
	}
}

func TestLinesAreWholeAndNamed(t *testing.T) {
	var b bytes.Buffer
	out := &output{w: &b}
	one, two := out.prefixed("one"), out.prefixed("two")
	io.WriteString(one, "a")
	io.WriteString(two, "x\ny")
	io.WriteString(one, "b\n\n")
	two.flush()
	two.flush()
	want := "two         | x\none         | ab\none         | \ntwo         | y\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestLineWithoutEndIsCut(t *testing.T) {
	var b bytes.Buffer
	w := (&output{w: &b}).prefixed("w")
	for range 100 {
		w.Write(bytes.Repeat([]byte("x"), 10_000))
	}
	if cap(w.rest) > 4*maxLine {
		t.Errorf("%s bytes are held", strconv.Itoa(cap(w.rest)))
	}
	if b.Len() < 900_000 {
		t.Errorf("%d bytes printed", b.Len())
	}
}
