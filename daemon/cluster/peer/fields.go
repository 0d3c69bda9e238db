package peer

import (
	"fmt"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// The fields that prove a request of a peer, and its answer.
const (
	HeaderNode      = "Osp-Peer-Node"
	HeaderTo        = "Osp-Peer-To"
	HeaderTime      = "Osp-Peer-Time"
	HeaderNonce     = "Osp-Peer-Nonce"
	HeaderSignature = "Osp-Peer-Signature"
	// HeaderProof is of answers.
	HeaderProof = "Osp-Peer-Proof"
)

// The fields that only a peer sends: for whom it asks, and as what.
const (
	HeaderOwner     = "Osp-Peer-Owner"
	HeaderToken     = "Osp-Peer-Token"
	HeaderScopes    = "Osp-Peer-Scopes"
	HeaderLink      = "Osp-Peer-Link"
	HeaderRequestID = "Osp-Peer-Request-Id"
	HeaderTrace     = "Osp-Peer-Trace"
)

// prefix is of the names that only a peer may send.
const prefix = "osp-peer-"

// signed are the fields that a receiver uses, in the order in which they are
// signed, and their names on the wire. The key of a repeated request has a name
// of its own there: net/http sends what carries an Idempotency-Key twice.
var signed = [...]struct{ name, wire string }{
	{HeaderOwner, HeaderOwner},
	{HeaderToken, HeaderToken},
	{HeaderScopes, HeaderScopes},
	{HeaderLink, HeaderLink},
	{HeaderRequestID, HeaderRequestID},
	{HeaderTrace, HeaderTrace},
	{"Range", "Range"},
	{"If-Match", "If-Match"},
	{"If-None-Match", "If-None-Match"},
	{"If-Modified-Since", "If-Modified-Since"},
	{"If-Unmodified-Since", "If-Unmodified-Since"},
	{"If-Range", "If-Range"},
	{"Content-Type", "Content-Type"},
	{"Content-Digest", "Content-Digest"},
	{protocol.HeaderXXH3, protocol.HeaderXXH3},
	{protocol.HeaderIdempotencyKey, "Osp-Peer-Idempotency-Key"},
	{"Accept", "Accept"},
}

// proving are the fields that prove a request, in the order of head and then the
// signature.
var proving = [...]string{HeaderNode, HeaderTo, HeaderTime, HeaderNonce, HeaderSignature}

// Fields are the names that a request between peers may carry. A receiver uses
// no other.
func Fields() []string {
	names := make([]string, 0, len(signed))
	for _, s := range signed {
		names = append(names, s.name)
	}
	return names
}

const (
	// maxField bounds the value of one field, maxTarget path and query, and
	// maxFields all of these: what fits into the 16 KiB of a client's header, and who he
	// is. The receiver's buffer for a header has 20 KiB.
	maxField  = 16 << 10
	maxTarget = 16 << 10
	maxFields = 18 << 10
	// maxReceived bounds how many fields a request has, signed or not.
	maxReceived = 64
)

// Field is one field of a header.
type Field struct{ Name, Value string }

// outgoing puts the fields of a message in the order of signed, and refuses
// what a receiver could read in another way than it is meant.
func (m Message) outgoing() ([]*string, error) {
	if err := m.checkTarget(); err != nil {
		return nil, err
	}
	values := make([]*string, len(signed))
	total := len(m.Path) + len(m.Query)
	for _, f := range m.Fields {
		at := indexSigned(f.Name, false)
		switch total += len(f.Name) + len(f.Value); {
		case at < 0:
			return nil, bad("the field %q is not one that a peer takes", f.Name)
		case values[at] != nil:
			return nil, bad("the field %s comes twice", f.Name)
		case len(f.Value) > maxField || total > maxFields:
			return nil, &protocol.Error{Kind: protocol.KindHeadersTooLarge, Message: "the header of the request is too large to be handed to another node; nothing was done"}
		case !cleanValue(f.Value):
			return nil, bad("the value of the field %s has a byte that no header may have", f.Name)
		}
		values[at] = &f.Value
	}
	return values, nil
}

// checkTarget refuses a method, path or query that is not one word of a request
// line.
func (m Message) checkTarget() error {
	switch {
	case m.Method == "" || strings.ContainsFunc(m.Method, func(r rune) bool { return r < 'A' || r > 'Z' }):
		return bad("the method is not one")
	case !strings.HasPrefix(m.Path, "/") || strings.HasPrefix(m.Path, "//") || strings.ContainsAny(m.Path, "?#") || !cleanWord(m.Path):
		return bad("the path is not one")
	case strings.Contains(m.Query, "#") || !cleanWord(m.Query):
		return bad("the query is not one")
	case len(m.Path)+len(m.Query) > maxTarget:
		return &protocol.Error{Kind: protocol.KindHeadersTooLarge, Message: "the path and the query are too long to be handed to another node; nothing was done"}
	}
	return nil
}

// indexSigned finds a field in signed, by its name on the wire or by its own.
func indexSigned(name string, wire bool) int {
	for i, s := range signed {
		want := s.name
		if wire {
			want = s.wire
		}
		if strings.EqualFold(want, name) {
			return i
		}
	}
	return -1
}

// cleanValue reports whether every parser reads the value as it is.
func cleanValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' || c == 0x7f {
			return false
		}
	}
	return v == strings.TrimSpace(v)
}

func cleanWord(v string) bool {
	for i := range len(v) {
		if c := v[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

func bad(format string, args ...any) error {
	return protocol.Errorf(protocol.KindBadRequest, "%s; the request was not handed to another node, and nothing was done", fmt.Sprintf(format, args...))
}
