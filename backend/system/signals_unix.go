//go:build unix

package system

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the child the leader of a process group of its own.
func ownGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

func terminate(cmd *exec.Cmd) {
	syscall.Kill(cmd.Process.Pid, syscall.SIGTERM)
}

// killGroup ends whatever is left of the child's group. The group's id stays
// taken as long as a member lives; without one the call finds nothing.
func killGroup(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

// signalOf is the signal that ended a child.
func signalOf(exit *exec.ExitError) int {
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return int(status.Signal())
	}
	return 0
}
