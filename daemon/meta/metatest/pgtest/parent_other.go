//go:build unix && !linux

package pgtest

import "syscall"

// dieWithParent has no way here: a test that is killed leaves its server.
func dieWithParent(*syscall.SysProcAttr) {}
