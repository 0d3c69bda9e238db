package peer

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
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
	// ReasonTLS is of a connection that did not come about: one of the two does not
	// take the other's certificate.
	ReasonTLS       Reason = "tls"
	ReasonFields    Reason = "fields"
	ReasonReceiver  Reason = "receiver"
	ReasonSender    Reason = "sender"
	ReasonSignature Reason = "signature"
	// ReasonCertificate is of one that was good when the connection began.
	ReasonCertificate Reason = "certificate"
	ReasonTime        Reason = "time"
	ReasonReplayed    Reason = "replayed"
	ReasonForgotten   Reason = "forgotten"
	ReasonFull        Reason = "full"
	// ReasonLease is of a node that has none here.
	ReasonLease Reason = "lease"
)

func (r Reason) Error() string { return "peer refused: " + string(r) }

// Told reports whether the sender is to learn why: it has shown to be a node, or
// to have been one, and its operator looks into its log first.
func (r Reason) Told() bool {
	switch r {
	case ReasonCertificate, ReasonTime, ReasonForgotten, ReasonFull, ReasonLease:
		return true
	}
	return false
}

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

// VerifierConfig is what a Verifier goes by.
type VerifierConfig struct {
	Self meta.NodeID
	// Key is none where the channel says who speaks. Certificates then say whether
	// it may be believed still; where they are nil it is.
	Key          Key
	Certificates *Certificates
	// Lives reports whether a node has a lease that lasts. Where it is nil each has.
	Lives func(ctx context.Context, node meta.NodeID) bool
	// Now is time.Now where it is nil.
	Now func() time.Time
}

// Verifier checks what a node receives.
type Verifier struct {
	VerifierConfig
	// nonces are of all requests but pings, which have their own room: that there is
	// none for others does not make a node dead.
	nonces, pings *nonces
}

// NewVerifier checks requests from now on: with a key, what was sent before is
// refused, since it may have been taken already.
func NewVerifier(c VerifierConfig) *Verifier {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Verifier{VerifierConfig: c, nonces: newNonces(c.Now(), mostNonces), pings: newNonces(c.Now(), mostNonces)}
}

// Verify checks a request, once. channel is what the sender showed, as the
// listener verified it when the connection began; nil without TLS. Its errors are
// *protocol.Error, and Reason is their cause: nothing of the request was used. The
// connection is to be closed then.
//
// Nobody sends again into a channel of TLS, and its other end may have another
// clock: times and nonces are looked at with a key alone.
func (v *Verifier) Verify(ctx context.Context, m Message, channel *tls.ConnectionState) (Verified, error) {
	h, signature, values, err := received(m)
	if err != nil {
		return Verified{}, err
	}
	switch {
	case h.to != string(v.Self):
		return Verified{}, refused(ReasonReceiver, "the request is for the node "+strconv.Quote(h.to)+", and this is "+string(v.Self))
	case h.node == h.to:
		return Verified{}, refused(ReasonSender, "the request says that it comes from this very node")
	}
	if v.Key.none() {
		err = v.certified(h, channel)
	} else {
		err = v.signed(m, h, values, signature)
	}
	switch {
	case err != nil:
		return Verified{}, err
	case v.Lives != nil && !v.Lives(ctx, meta.NodeID(h.node)):
		return Verified{}, refused(ReasonLease, "the node "+strconv.Quote(h.node)+" has no lease on the database of this one that lasts")
	}
	return Verified{From: meta.NodeID(h.node), fields: values, nonce: h.nonce}, nil
}

// certified is nil where the channel is the sender's, now as at its beginning.
func (v *Verifier) certified(h head, channel *tls.ConnectionState) error {
	if !slices.Contains(names(channel), h.node) {
		return refused(ReasonSender, "the certificate of the sender is not one of the node "+strconv.Quote(h.node))
	}
	if v.Certificates == nil {
		return nil
	}
	if err := v.Certificates.check(channel.PeerCertificates, v.Now()); err != nil {
		return refused(ReasonCertificate, "the certificate of node "+h.node+" was good when the connection began and is not any more: "+err.Error())
	}
	return nil
}

// signed is nil where the key is the cluster's, and the request was not there
// before.
func (v *Verifier) signed(m Message, h head, values []*string, signature string) error {
	if sum, err := hex.DecodeString(signature); err != nil || !hmac.Equal(sum, v.Key.sign(canonical(m, h, values))) {
		return refused(ReasonSignature, "the signature of the request is not the one of this cluster's key")
	}
	t, err := strconv.ParseInt(h.time, 10, 64)
	nonce, nonceErr := hex.DecodeString(h.nonce)
	if err != nil || nonceErr != nil || len(nonce) != nonceSize {
		return refused(ReasonFields, "the time or the nonce of the request cannot be read")
	}
	now := v.Now()
	if ahead := time.UnixMilli(t).Sub(now); ahead.Abs() > Window {
		return refused(ReasonTime, clocksDiffer(h.node, ahead))
	}
	sum := sha256.Sum256(appendItems(nil, h.node, string(nonce)))
	seen := v.nonces
	if m.Path == PingPath {
		seen = v.pings
	}
	if why := seen.take(now.UnixMilli(), t, nonceKey(sum[:16])); why != "" {
		return refused(why, saying(why))
	}
	return nil
}

// clocksDiffer says what an operator has to know of them.
func clocksDiffer(node string, ahead time.Duration) string {
	how := "ahead of"
	if ahead < 0 {
		how = "behind"
	}
	return fmt.Sprintf("the clock of node %s is %s %s the one of this node, and they may differ by %s; set both", node, ahead.Abs().Round(time.Second), how, Window)
}

// Proof is the value of HeaderProof for the answer to a request: it shows the
// sender that its request was verified, by the node it is for.
func (v *Verifier) Proof(got Verified) string { return v.Key.proof(got.From, v.Self, got.nonce) }

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
