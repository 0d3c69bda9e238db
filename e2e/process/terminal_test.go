package process

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// barSize is what is put before a terminal, and barHeld where it is held.
const (
	barSize = 48 << 20
	barHeld = 20 << 20
)

// TestBarOnATerminal: the bar names the file, says how far it is and how fast
// it goes, is never wider than the terminal, and leaves nothing behind. The
// result is not on the terminal. Ctrl-C says how to go on.
func TestBarOnATerminal(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	names := map[string]string{
		"short.iso": "short.iso",
		strings.Repeat("a long way down ", 8) + "file-17.tar.gz": "file-17.tar.gz",
	}
	run := uint64(0)
	for name, shown := range names {
		for _, columns := range []int{40, 80, 200} {
			run++
			t.Run(fmt.Sprintf("%s at %d", shown, columns), func(t *testing.T) { barAt(t, d, run, name, shown, columns) })
		}
	}
	stopClean(t, d)
}

func barAt(t *testing.T, d *harness.Daemon, seed uint64, name, shown string, columns int) {
	gate := harness.NewGate(t, d.URL, harness.Up, barHeld)
	osp := harness.NewOSP(t, bin, gate.URL)
	path := osp.Dir + "/" + name
	harness.WriteContent(t, path, seed, barSize)

	p := osp.StartOnTerminal(columns, nil, "put", name)
	// Before something was sent there may be nothing yet to resume.
	parts := []string{`[1-9][0-9]?% \|.*\|$`, regexp.QuoteMeta(shown)}
	if columns >= 80 { // below that the name and the bar come first
		parts = append(parts, `[0-9.]+ MiB/48 MiB`, `[0-9.]+ [KM]iB/s`)
	}
	harness.Eventually(t, "a bar with name, rate and percentage is drawn", func() bool { return anyLine(p.Screen.Seen(), parts) })
	p.Type("\x03")
	exit := p.Wait()
	want := regexp.MustCompile(`\A(\^C)?osp: put ` + regexp.QuoteMeta(name) + `: interrupted\n  try:  osp resume [0-9A-Z]{26}\n0 of 1 file, .*\n\z`)
	if exit != 130 || p.Stdout() != "" || !want.MatchString(p.Screen.Text()) {
		t.Errorf("exit %d, stdout %q, and on the terminal %q", exit, p.Stdout(), p.Screen.Text())
	}
	onOneLine(t, p)

	osp.Server = d.URL
	p = osp.StartOnTerminal(columns, nil, "put", name)
	if exit := p.Wait(); exit != 0 || !regexp.MustCompile(`\A[0-9]+\t`+regexp.QuoteMeta(name)+`\n\z`).MatchString(p.Stdout()) {
		t.Errorf("exit %d, stdout %q", exit, p.Stdout())
	}
	if text := p.Screen.Text(); !regexp.MustCompile(`\A1 file, 48 MiB in .*, all verified\n\z`).MatchString(text) {
		t.Errorf("after the end the terminal shows %q", text)
	}
	onOneLine(t, p)
}

// anyLine reports whether a line has all of the parts.
func anyLine(lines, parts []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !regexp.MustCompile(part).MatchString(line) })
	})
}

// onOneLine checks that nothing that is drawn over was too wide for it.
// Messages may be: they stay.
func onOneLine(t *testing.T, p *harness.Terminal) {
	t.Helper()
	for _, line := range p.Screen.Broken() {
		if strings.Contains(line, "% |") || strings.Contains(line, "…") {
			t.Errorf("a bar is wider than the terminal: %q", line)
		}
	}
	if odd := p.Screen.Odd(); odd != "" {
		t.Errorf("control characters were written: %q", odd)
	}
}

// TestNoBarWhereNoneCanBeDrawn: lines on a terminal that cannot draw, in CI, and
// where they are asked for.
func TestNoBarWhereNoneCanBeDrawn(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	tests := map[string]struct{ env, args []string }{
		"dumb":  {[]string{"TERM=dumb"}, nil},
		"CI":    {[]string{"CI=true"}, nil},
		"plain": {nil, []string{"--progress", "plain"}},
		"none":  {nil, []string{"--progress", "none"}},
		"quiet": {nil, []string{"-q"}},
	}
	seed := uint64(100)
	for name, tt := range tests {
		seed++
		t.Run(name, func(t *testing.T) {
			osp := harness.NewOSP(t, bin, d.URL)
			harness.WriteContent(t, osp.Dir+"/file", seed, barSize)
			p := osp.StartOnTerminal(80, tt.env, append([]string{"put", "file", "--progress-interval", "1ms"}, tt.args...)...)
			if exit := p.Wait(); exit != 0 {
				t.Fatalf("exit %d: %q", exit, p.Screen.Raw())
			}
			if raw := p.Screen.Raw(); strings.ContainsAny(raw, "\r\x1b\b") || strings.Contains(raw, "% |") {
				t.Errorf("drawn: %q", raw)
			}
			if lines := strings.Contains(p.Screen.Text(), "/48 MiB"); lines != (name != "none" && name != "quiet") {
				t.Errorf("progress in lines: %v, %q", lines, p.Screen.Text())
			}
		})
	}
	stopClean(t, d)
}
