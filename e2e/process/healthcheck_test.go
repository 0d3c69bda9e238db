package process

import (
	"strings"
	"syscall"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// TestHealthcheck: what a container's engine asks says that a daemon is well
// while it serves, that it is not while it drains, though it lives, and that it
// is not when it has ended.
func TestHealthcheck(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	check := func(when string, want int, said string, args ...string) {
		t.Helper()
		env := []string{"OSPD_LISTEN=" + strings.TrimPrefix(d.URL, "http://")}
		p := harness.Start(t, env, "", bin.OSPD, append([]string{"healthcheck"}, args...)...)
		if exit := p.Wait(); exit != want || !strings.Contains(p.Stderr(), said) {
			t.Errorf("%s: %v exit %d, want %d: %s", when, args, exit, want, p.Stderr())
		}
	}
	check("serving", 0, "")
	s := startPart(t, d)
	d.Signal(syscall.SIGTERM)
	draining(t, d)
	check("draining", 1, "ospd: not healthy: draining\n")
	check("draining", 0, "", "--live")
	if _, err := s.body.Write(s.data[len(s.data)/2:]); err != nil {
		t.Fatal(err)
	}
	s.body.Close()
	<-s.answer
	if exit := d.Wait(); exit != 0 {
		t.Errorf("ospd left with %d:\n%s", exit, d.Stderr())
	}
	check("ended", 1, "ospd: not healthy: ")
	check("ended", 1, "ospd: not healthy: ", "--live")
}
