package predecessor

import (
	"errors"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

func TestReckoning(t *testing.T) {
	limit := func(n int64) *int64 { return &n }
	for name, c := range map[string]struct {
		k    *Reckoning
		over bool
		says []string
	}{
		"no limits":        {&Reckoning{Charge{nil, 5, 1 << 60}, Charge{nil, 1, 1 << 60}}, false, nil},
		"just enough":      {&Reckoning{Charge{limit(10), 5, 5}, Charge{limit(3), 1, 2}}, false, nil},
		"a byte too many":  {&Reckoning{Charge{limit(10), 5, 6}, Charge{limit(3), 1, 2}}, true, []string{"10 bytes", "5 are in use", "6 more, which is 11", "quotas.owners.ann.bytes to 11 or more"}},
		"a file too many":  {&Reckoning{Charge{nil, 5, 6}, Charge{limit(3), 1, 3}}, true, []string{"3 files", "quotas.owners.ann.files to 4 or more"}},
		"both":             {&Reckoning{Charge{limit(1), 0, 2}, Charge{limit(0), 0, 1}}, true, []string{"quotas.owners.ann.bytes to 2 and quotas.owners.ann.files to 1 or more"}},
		"over it anyway":   {&Reckoning{Charge{limit(1), 9, 0}, Charge{limit(1), 9, -1}}, false, nil},
		"nothing reckoned": {nil, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if c.k.Over() != c.over {
				t.Errorf("over: %v", !c.over)
			}
			if c.k == nil {
				return
			}
			err := c.k.refusal("ann", "nothing was changed")
			e, is := errors.AsType[*protocol.Error](err)
			if is != c.over || (err != nil) != c.over {
				t.Fatalf("%v", err)
			}
			for _, text := range c.says {
				if e.Kind != protocol.KindQuotaExceeded || !strings.Contains(e.Message+e.Hint, text) {
					t.Errorf("%q is not in %q, %q", text, e.Message, e.Hint)
				}
			}
		})
	}
}
