package daemon

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
)

// bootID names this boot of this machine. Where the system has no such id, one
// is made for this process: then bytes that an earlier process left unsynced
// are verified although the machine stayed up, which costs time and loses
// nothing.
func bootID() string {
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		if id := strings.TrimSpace(string(b)); id != "" {
			return id
		}
	}
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
