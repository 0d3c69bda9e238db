package daemon_test

import (
	"io"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon"
)

func TestAdviceAboutAStoreThatIsAway(t *testing.T) {
	for _, want := range []string{io.ErrUnexpectedEOF.Error(), "no file was changed", "taken out of `stores`"} {
		if got := daemon.Advise(io.ErrUnexpectedEOF).Error(); !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}
