package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Grant is what a link allows, all of it signed.
type Grant struct {
	Action protocol.LinkAction
	Owner  protocol.Owner
	UID    protocol.UID
	// NotBefore and Expires are exact to the second. NotBefore is the zero time
	// where the link is good at once.
	NotBefore, Expires time.Time
	// Name is the name of the File that is put, or what the one that is got is
	// saved as, "" for its own.
	Name string
	// Inline is for a get, MediaType for both, "" for the File's own.
	Inline    bool
	MediaType string
	// MaxSize bounds what is put; -1 where the daemon's limit is the only one.
	MaxSize int64
	// Revocations is how many there had been when the link was signed.
	Revocations int64
}

const (
	// version is the first byte of each token.
	version = 1
	// macSize is of HMAC-SHA256.
	macSize = sha256.Size
	// maxToken bounds the text of a token: the longest name and media type there
	// can be, and what goes with them.
	maxToken = 4096
	// purpose keeps what is signed here from being taken for anything else that
	// is signed with keys of the same origin.
	purpose = "osp-link-1\x00"
)

// The bytes of actions; flagInline is another bit of the same byte.
const (
	byteGet    = 1
	bytePut    = 2
	flagInline = 0x10
)

// encode is the token's text: base64url of the payload and its MAC under the
// key. A payload has one form.
func (g Grant) encode(key int64, secret [32]byte) string {
	b := g.payload(key)
	b = append(b, mac(secret, b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (g Grant) payload(key int64) []byte {
	b := []byte{version}
	b = binary.AppendUvarint(b, uint64(key))
	what := byte(byteGet)
	if g.Action == protocol.LinkPut {
		what = bytePut
	}
	if g.Inline {
		what |= flagInline
	}
	b = append(b, what)
	for _, n := range [...]uint64{uint64(g.UID), uint64(g.Revocations), seconds(g.NotBefore), seconds(g.Expires), uint64(g.MaxSize + 1)} {
		b = binary.AppendUvarint(b, n)
	}
	for _, s := range [...]string{string(g.Owner), g.Name, g.MediaType} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// seconds since 1970, 0 for no time.
func seconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.Unix(), 0))
}

func timeOf(s uint64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

func mac(secret [32]byte, payload []byte) []byte {
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte(purpose))
	h.Write(payload)
	return h.Sum(nil)
}

// signed is a token that has the form of one, and nothing else is known of it.
type signed struct {
	key     int64
	payload []byte
	mac     []byte
}

// split takes a token apart as far as is needed to check its MAC. No byte of it
// is believed before.
func split(text string) (s signed, ok bool) {
	if len(text) > maxToken {
		return s, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder passes over line ends: only the text that encodes to itself is
	// a token.
	if err != nil || len(b) <= macSize || b[0] != version || base64.RawURLEncoding.EncodeToString(b) != text {
		return s, false
	}
	s.payload, s.mac = b[:len(b)-macSize], b[len(b)-macSize:]
	key, n := binary.Uvarint(s.payload[1:])
	s.key = int64(key)
	return s, n > 0 && s.key > 0
}

// verify reports whether the token was signed with the secret.
func (s signed) verify(secret [32]byte) bool { return hmac.Equal(s.mac, mac(secret, s.payload)) }

// grant reads a payload whose MAC is right. One that has another form than
// payload gives was signed by a newer version.
func (s signed) grant() (g Grant, ok bool) {
	r := reader{b: s.payload[1:], ok: true}
	key := r.number()
	what := r.byte()
	g = Grant{
		UID: protocol.UID(r.number()), Revocations: int64(r.number()),
		NotBefore: timeOf(r.number()), Expires: timeOf(r.number()), MaxSize: int64(r.number()) - 1,
		Owner: protocol.Owner(r.text()), Name: r.text(), MediaType: r.text(),
	}
	g.Inline = what&flagInline != 0
	switch what &^ flagInline {
	case byteGet:
		g.Action = protocol.LinkGet
	case bytePut:
		g.Action = protocol.LinkPut
	default:
		return g, false
	}
	return g, r.ok && len(r.b) == 0 && string(g.payload(int64(key))) == string(s.payload)
}

// reader takes values off the front of b; ok is false from the first that is
// not there.
type reader struct {
	b  []byte
	ok bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if !r.ok || size <= 0 {
		r.ok = false
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) byte() byte {
	if !r.ok || len(r.b) == 0 {
		r.ok = false
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) text() string {
	n := r.number()
	if !r.ok || n > uint64(len(r.b)) {
		r.ok = false
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}
