package protocol

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// HeaderContentDigest carries hashes of a body (RFC 9530), of which sha-256 is
// checked.
const HeaderContentDigest = "Content-Digest"

var digestText = base64.StdEncoding.Strict()

// FormatContentDigest is the Content-Digest of a body with this plain SHA-256.
func FormatContentDigest(sum [sha256.Size]byte) string {
	return "sha-256=:" + digestText.EncodeToString(sum[:]) + ":"
}

// ParseContentDigest finds the plain SHA-256 in a Content-Digest (RFC 9530
// section 2, a dictionary of RFC 9651), and reports whether there is one.
// Other algorithms are passed over, as the RFC asks. A malformed header (one
// with parameters among them) and a sha-256 given twice are KindBadRequest: a check the caller asked for is never
// left out because it was not understood.
func ParseContentDigest(s string) (sum [sha256.Size]byte, ok bool, err error) {
	bad := Errorf(KindBadRequest, "%.80q is not a Content-Digest", s)
	bad.Hint = "Use sha-256=:BASE64: (RFC 9530)."
	for member := range strings.SplitSeq(s, ",") {
		name, value, found := strings.Cut(strings.Trim(member, " \t"), "=")
		inner, isBytes := strings.CutPrefix(value, ":")
		inner, ends := strings.CutSuffix(inner, ":")
		if name == "" || !found || !isBytes || !ends {
			return [sha256.Size]byte{}, false, bad
		}
		if name != "sha-256" {
			continue
		}
		raw, decodeErr := digestText.DecodeString(inner)
		if ok || decodeErr != nil || len(raw) != sha256.Size || len(inner) != digestText.EncodedLen(sha256.Size) {
			return [sha256.Size]byte{}, false, bad
		}
		sum, ok = [sha256.Size]byte(raw), true
	}
	return sum, ok, nil
}
