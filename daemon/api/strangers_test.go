package api

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
)

// TestStrangersAreToldOfOnceAMinute: each by its address, by who it says it is and by
// what is wrong with it; how many there may be is bounded.
func TestStrangersAreToldOfOnceAMinute(t *testing.T) {
	var said bytes.Buffer
	now := time.Unix(0, 0)
	s := newStrangers(slog.New(slog.NewTextHandler(&said, nil)))
	s.now = func() time.Time { return now }
	port := 0
	tell := func(host, node string, reason peer.Reason) string {
		said.Reset()
		port++
		s.tell(t.Context(), &net.TCPAddr{IP: net.ParseIP(host), Port: port}, node, reason)
		return said.String()
	}
	if line := tell("127.0.0.2", "a node", peer.ReasonLease); !strings.Contains(line, `remote=127.0.0.2:1 sender="a node" unsaid=0`) || !strings.Contains(line, "lease") {
		t.Errorf("of the first: %s", line)
	}
	for range 119 {
		now = now.Add(strangerQuiet / 120)
		if line := tell("127.0.0.2", "a node", peer.ReasonLease); line != "" {
			t.Fatalf("within a minute: %s", line)
		}
	}
	for name, line := range map[string]string{
		"another host": tell("127.0.0.3", "a node", peer.ReasonLease), "another node": tell("127.0.0.2", "another", peer.ReasonLease),
		"another reason": tell("127.0.0.2", "a node", peer.ReasonTime), "a long name": tell("127.0.0.2", strings.Repeat("x", 5000), peer.ReasonLease),
	} {
		if line == "" || len(line) > 1000 {
			t.Errorf("of %s: %s", name, line)
		}
	}
	now = now.Add(strangerQuiet / 120)
	if line := tell("127.0.0.2", "a node", peer.ReasonLease); !strings.Contains(line, "unsaid=119") {
		t.Errorf("after a minute: %s", line)
	}
	lines := 0
	for i := range 10 * mostStrangers {
		if tell("127.0.0.2", fmt.Sprint("node ", i), peer.ReasonLease) != "" {
			lines++
		}
	}
	if lines > mostStrangers || len(s.all) > mostStrangers+1 {
		t.Errorf("of many: %d lines, %d are remembered", lines, len(s.all))
	}
	now = now.Add(strangerQuiet)
	if line := tell("127.0.0.2", "one that is new", peer.ReasonLease); line == "" || len(s.all) > 1 {
		t.Errorf("later: %q, %d are remembered", line, len(s.all))
	}
}
