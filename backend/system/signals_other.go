//go:build !linux

package system

import "os/exec"

// dieWithParent has no counterpart here: the lifeline alone ties the child to
// the system, and it holds as long as the guard lives.
func dieWithParent(*exec.Cmd) {}
