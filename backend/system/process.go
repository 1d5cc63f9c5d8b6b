package system

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// process is a child that runs under a guard (see Guard): closing its lifeline
// stops it, and so does the end of this process.
type process struct {
	name     string
	lifeline *os.File
	exited   chan struct{}
	err      error // how it ended; read after exited
}

// startProcess runs argv in dir under the guard program self, with env as its
// whole environment. Its output goes to out, line by line.
func startProcess(self, name, dir string, env, argv []string, out *output) (*process, error) {
	lines := out.prefixed(name)
	cmd, lifeline, err := startGuarded(self, dir, env, argv, lines)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{name: name, lifeline: lifeline, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		lines.flush()
		close(p.exited)
	}()
	return p, nil
}

// startGuarded starts argv under the guard program self. Closing the lifeline
// stops it; a nil env is this process's own.
func startGuarded(self, dir string, env, argv []string, out io.Writer) (cmd *exec.Cmd, lifeline *os.File, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	cmd = exec.Command(self, append([]string{GuardCommand, "--"}, argv...)...)
	cmd.Dir = dir
	cmd.Env = env
	cmd.ExtraFiles = []*os.File{r}
	cmd.Stdout, cmd.Stderr = out, out
	// Ctrl-C in a terminal goes to a whole process group: the guarded are told
	// by their guard instead, in the order that the system chooses.
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, nil, err
	}
	return cmd, w, nil
}

// stop ends the process and returns when it is gone. The guard bounds the time.
func (p *process) stop() {
	p.lifeline.Close()
	<-p.exited
}

// stopAll ends the processes in order. The next is told when the one before it
// is gone, or after stopStep, so that one that takes its whole time does not
// keep the rest waiting.
func stopAll(processes []*process) {
	for _, p := range processes {
		p.lifeline.Close()
		select {
		case <-p.exited:
		case <-time.After(stopStep):
		}
	}
	for _, p := range processes {
		<-p.exited
	}
}

// stopStep is longer than a stop takes when nothing is wrong.
const stopStep = 2 * time.Second

// ended says how a process that was not stopped came to its end.
func (p *process) ended() error {
	if p.err == nil {
		return fmt.Errorf("%s ended by itself", p.name)
	}
	if exit, ok := errors.AsType[*exec.ExitError](p.err); ok && exit.ExitCode() > exitSignalled {
		return fmt.Errorf("%s was ended by signal %d", p.name, exit.ExitCode()-exitSignalled)
	} else if ok {
		return fmt.Errorf("%s ended by itself with %v: its last lines above say why", p.name, exit)
	}
	return fmt.Errorf("%s ended by itself: %w", p.name, p.err)
}

// output merges the lines of several writers into one, each line whole and
// behind its writer's name.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

// maxLine is where a line without an end is cut, so that a service that prints
// none cannot fill the memory.
const maxLine = 64 << 10

func (o *output) prefixed(name string) *lineWriter {
	return &lineWriter{out: o, prefix: fmt.Sprintf("%-11s | ", name)}
}

// lineWriter is safe for use by several goroutines.
type lineWriter struct {
	out    *output
	prefix string
	mu     sync.Mutex
	rest   []byte // of a line that has not ended
}

func (l *lineWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			l.rest = append(l.rest, b...)
			if len(l.rest) > maxLine {
				l.print()
			}
			break
		}
		l.rest = append(l.rest, b[:i]...)
		l.print()
		b = b[i+1:]
	}
	return n, nil
}

// flush prints a last line that has no end.
func (l *lineWriter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.print()
	}
}

func (l *lineWriter) print() {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	fmt.Fprintf(l.out.w, "%s%s\n", l.prefix, l.rest)
	l.rest = l.rest[:0]
}
