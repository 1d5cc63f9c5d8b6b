package system

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// GuardCommand is the name of the hidden command that calls Guard.
const GuardCommand = "guard"

// StopGrace is how long a service has between SIGTERM and SIGKILL. The services
// drain and flush within 5 seconds.
const StopGrace = 6 * time.Second

// exitSignalled is where the exit statuses of children that a signal ended begin.
const exitSignalled = 128

// Guard runs argv as a child and waits for it. File descriptor 3 is the
// lifeline: when it is closed at the other end, for whatever reason, the child
// is told to stop (SIGTERM), and after grace it is killed with all that it
// started. It returns the child's exit status, or exitSignalled and the signal's
// number where one ended it, as a shell does.
func Guard(argv []string, grace time.Duration) (int, error) {
	if len(argv) == 0 {
		return 0, errors.New("guard: no command given")
	}
	lifeline := os.NewFile(3, "lifeline")
	if lifeline == nil {
		return 0, errors.New("guard: no lifeline at file descriptor 3")
	}
	// Should the guard itself be killed, the kernel tells the child (on Linux),
	// as long as the thread that started it lives: this one.
	runtime.LockOSThread()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	ownGroup(cmd)
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	cut := make(chan struct{})
	go func() {
		io.Copy(io.Discard, lifeline)
		close(cut)
	}()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()

	var err error
	select {
	case err = <-exited:
	case <-cut:
		terminate(cmd)
		select {
		case err = <-exited:
		case <-time.After(grace):
			killGroup(cmd)
			err = <-exited
		}
	}
	killGroup(cmd)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if code := exit.ExitCode(); code >= 0 {
			return code, nil
		}
		return exitSignalled + signalOf(exit), nil
	}
	return 0, err
}
