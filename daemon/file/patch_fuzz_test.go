package file

import (
	"encoding/json"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// FuzzParsePatch: what is refused has a reason that the caller can mend, and
// what is accepted was JSON.
func FuzzParsePatch(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := ParsePatch(body)
		switch kind := protocol.KindOf(err); {
		case err == nil && (!json.Valid(body) || p.name != nil && protocol.CheckName(*p.name) != nil):
			t.Errorf("%q is accepted: %+v", body, p)
		case err != nil && kind != protocol.KindBadRequest && kind != protocol.KindUnknownField && kind != protocol.KindBadName:
			t.Errorf("%q: %v", body, err)
		}
	})
}
