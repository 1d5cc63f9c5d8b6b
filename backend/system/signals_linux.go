package system

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel send SIGTERM to the child when the thread that
// starts it ends.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
}
