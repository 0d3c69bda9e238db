package peer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Reason is why a request was refused, as a word for metrics. It is the cause
// of Verify's errors.
type Reason string

// The reasons.
const (
	ReasonFields    Reason = "fields"
	ReasonReceiver  Reason = "receiver"
	ReasonSender    Reason = "sender"
	ReasonSignature Reason = "signature"
	ReasonTime      Reason = "time"
	ReasonReplayed  Reason = "replayed"
	ReasonForgotten Reason = "forgotten"
	ReasonFull      Reason = "full"
)

func (r Reason) Error() string { return "peer refused: " + string(r) }

// Verified is what of a request may be believed.
type Verified struct {
	// From is the node that sent it.
	From   meta.NodeID
	fields []*string
	nonce  string
}

// Value is that of one of Fields; ok is false where the request does not have it.
func (v Verified) Value(name string) (value string, ok bool) {
	at := indexSigned(name, false)
	if at < 0 || len(v.fields) == 0 || v.fields[at] == nil {
		return "", false
	}
	return *v.fields[at], true
}

// Fields are those of Fields that the request has.
func (v Verified) Fields() []Field {
	var out []Field
	for i, value := range v.fields {
		if value != nil {
			out = append(out, Field{signed[i].name, *value})
		}
	}
	return out
}

// Verifier checks what a node receives.
type Verifier struct {
	self   meta.NodeID
	key    Key
	now    func() time.Time
	nonces *nonces
}

// NewVerifier checks requests to self from now on: with a key, what was sent
// before is refused, since it may have been taken already. now is time.Now where
// it is nil.
func NewVerifier(self meta.NodeID, key Key, now func() time.Time) *Verifier {
	if now == nil {
		now = time.Now
	}
	floor := now()
	if key.none() {
		// Nobody sends again into a channel of TLS, and its other end may have
		// another clock.
		floor = floor.Add(-Window)
	}
	return &Verifier{self: self, key: key, now: now, nonces: newNonces(floor, mostNonces)}
}

// Verify checks a request, once. certified are the DNS names of the certificate
// that the sender showed, as the channel verified it (see Names); nil without
// TLS. Its errors are *protocol.Error, and Reason is their cause: nothing of the
// request was used.
func (v *Verifier) Verify(m Message, certified []string) (Verified, error) {
	h, signature, values, err := received(m)
	if err != nil {
		return Verified{}, err
	}
	switch {
	case h.to != string(v.self):
		return Verified{}, refused(ReasonReceiver, "the request is for the node "+strconv.Quote(h.to)+", and this is "+string(v.self))
	case h.node == h.to:
		return Verified{}, refused(ReasonSender, "the request says that it comes from this very node")
	case v.key.none() && !slices.Contains(certified, h.node):
		return Verified{}, refused(ReasonSender, "the certificate of the sender is not one of the node "+strconv.Quote(h.node))
	}
	if sum, err := hex.DecodeString(signature); !v.key.none() && (err != nil || !hmac.Equal(sum, v.key.sign(canonical(m, h, values)))) {
		return Verified{}, refused(ReasonSignature, "the signature of the request is not the one of this cluster's key")
	}
	t, err := strconv.ParseInt(h.time, 10, 64)
	nonce, nonceErr := hex.DecodeString(h.nonce)
	if err != nil || nonceErr != nil || len(nonce) != nonceSize {
		return Verified{}, refused(ReasonFields, "the time or the nonce of the request cannot be read")
	}
	now := v.now()
	if off := now.Sub(time.UnixMilli(t)); off.Abs() > Window {
		return Verified{}, refused(ReasonTime, "the request was sent at "+time.UnixMilli(t).UTC().Format(time.RFC3339)+" by the clock of node "+h.node+
			", which is more than "+Window.String()+" from this node's clock; set the clocks of both")
	}
	sum := sha256.Sum256(appendItems(nil, h.node, string(nonce)))
	if why := v.nonces.take(now.UnixMilli(), t, nonceKey(sum[:16])); why != "" {
		return Verified{}, refused(why, saying(why))
	}
	return Verified{From: meta.NodeID(h.node), fields: values, nonce: h.nonce}, nil
}

// Proof is the value of HeaderProof for the answer to a request: it shows the
// sender that its request was verified, by the node it is for.
func (v *Verifier) Proof(got Verified) string { return v.key.proof(got.From, v.self, got.nonce) }

// saying is the message of the nonces' reasons.
func saying(why Reason) string {
	switch why {
	case ReasonReplayed:
		return "the request was received before"
	case ReasonForgotten:
		return "the request is older than what this node remembers, which may have started, or whose clock may have been set back, since it was sent"
	}
	return "this node has no room to remember more requests for now"
}

func refused(why Reason, message string) error {
	kind := protocol.KindUnauthenticated
	if why == ReasonFull {
		kind = protocol.KindUnavailable
	}
	return &protocol.Error{Kind: kind, Message: message + "; nothing was done", Err: why}
}

// received takes apart what was received. Everything that is signed may come
// once, and nothing that only a peer sends may come beside it.
func received(m Message) (h head, signature string, values []*string, err error) {
	if len(m.Fields) > maxReceived {
		return h, "", nil, refused(ReasonFields, "the request has too many fields")
	}
	var proofs [len(proving)]*string
	values = make([]*string, len(signed))
	for _, f := range m.Fields {
		place := place(&proofs, values, f.Name)
		switch {
		case place != nil && *place == nil:
			*place = &f.Value
		case place != nil:
			return h, "", nil, refused(ReasonFields, "the field "+f.Name+" comes twice")
		case strings.HasPrefix(strings.ToLower(f.Name), prefix):
			return h, "", nil, refused(ReasonFields, "the field "+strconv.Quote(f.Name)+" is none that this version knows")
		case indexSigned(f.Name, false) >= 0:
			return h, "", nil, refused(ReasonFields, "the field "+f.Name+" has another name between peers")
		}
	}
	for i, into := range [len(proving)]*string{&h.node, &h.to, &h.time, &h.nonce, &signature} {
		if proofs[i] != nil {
			*into = *proofs[i]
		}
	}
	return h, signature, values, nil
}

// place is where the value of a field belongs, nil for one that nobody signs.
func place(proofs *[len(proving)]*string, values []*string, name string) **string {
	if at := indexSigned(name, true); at >= 0 {
		return &values[at]
	}
	for i, p := range proving {
		if strings.EqualFold(p, name) {
			return &proofs[i]
		}
	}
	return nil
}
