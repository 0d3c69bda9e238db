package cli

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestManualIsWhole: each command has a page with all its flags, but for what is
// not for people. No line of text is taken for a request.
func TestManualIsWhole(t *testing.T) {
	all := everything(t)
	pages := manual(all["osp"], build{Version: "1.2.3", Date: orNull("2026-11-22T23:00:00-02:00")})
	left := map[string]bool{"osp help": true, "osp man": true}
	for path, cmd := range all {
		name := strings.ReplaceAll(path, " ", "-") + ".1"
		text, ok := pages[name]
		if ok == left[path] {
			t.Errorf("%s has a page: %v", path, ok)
		}
		if left[path] {
			continue
		}
		if !strings.HasPrefix(text, `.TH "`+strings.ToUpper(escapeRoff(strings.TrimSuffix(name, ".1")))+`" "1" "2026\-11\-23" "osp 1.2.3" "osp"`+"\n") {
			t.Errorf("%s begins %.80q", name, text)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(text, `\fB\-\-`+escapeRoff(f.Name)+`\fR`) && !isTopic(cmd) {
				t.Errorf("%s leaves out --%s", name, f.Name)
			}
		})
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !strings.Contains(" TH SH PP TP RS RE nf fi ", " "+strings.TrimSpace(strings.SplitN(line[1:], " ", 2)[0])+" ") {
				t.Errorf("%s has the request %q", name, line)
			}
		}
	}
	if len(pages) != len(all)-len(left) {
		t.Errorf("%d pages of %d commands", len(pages), len(all))
	}
}

func TestRoffMeansItself(t *testing.T) {
	var r roff
	r.text(".dot 'quote\nback\\slash\n'first\n\n    -- as\n    .is")
	r.macro("TH", `a"b`)
	const want = "\\&.dot 'quote\nback\\eslash\n\\&'first\n.PP\n.nf\n    \\-\\- as\n    .is\n.fi\n.TH \"a\\(dqb\"\n"
	if got := r.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
