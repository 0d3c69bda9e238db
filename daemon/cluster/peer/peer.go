// Package peer carries requests from one node of a cluster to another: how they
// are signed, checked, sent and answered.
//
// The sender has a Client. Client.Do sends a Request to a Peer and returns its
// Answer as soon as the answer's header is there; the body streams. A body goes
// out when the peer asks for it (Expect: 100-continue) and never twice, and when
// Do returns nobody reads it any more: an early 409, 413 or 507 of the peer
// leaves it where it is (Answer.Unread). Errors are typed: *Unreached (nothing
// was sent), *Broken (the connection ended before the answer was whole),
// *Refused (what answered did not prove to be the peer, or the peer did not take
// the request for one of ours) and *BodyFailed (the request's own body failed).
//
// The receiver has a Verifier. It makes a Message of what its HTTP server
// parsed, all fields included, and calls Verify once for each request: a second
// call for the same one is a replay, also where the server asks first for the
// Expect and then for the request. It uses what Verified has, and no field of
// the request beside: only Fields are signed. Each answer to a request that was
// verified carries HeaderProof with Verifier.Proof; answers without are not
// believed. The listener keeps idle connections longer than IdleTime.
//
// What is signed is in canonical (canonical.go). With a Key the signature is an
// HMAC over it, for peers on one machine, which have one clock. With
// Certificates the same fields are sent and the channel binds them: TLS 1.3,
// certificates of the cluster's own CA on both sides, and the DNS name in each
// is the id of its node. What a channel showed at its beginning is looked at again
// with each request (vouched.go, link.go). Times and nonces count with a Key alone.
package peer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

// minSecret is how long the shared secret is at least.
const minSecret = 32

// Key is the secret that the nodes of a cluster share. The zero Key is none:
// then the channel has to say who speaks.
type Key struct{ secret string }

// NewKey takes the secret as configured.
func NewKey(secret string) (Key, error) {
	if len(secret) < minSecret {
		return Key{}, fmt.Errorf("the key of the cluster has %d characters and needs %d at least: openssl rand -hex 32 makes one", len(secret), minSecret)
	}
	return Key{secret}, nil
}

// String keeps the secret out of logs.
func (k Key) String() string { return "key of the cluster" }

func (k Key) none() bool { return k.secret == "" }

func (k Key) sign(text []byte) []byte {
	mac := hmac.New(sha256.New, []byte(k.secret))
	mac.Write(text)
	return mac.Sum(nil)
}

// proof is what an answer to the request with that nonce carries.
func (k Key) proof(from, to meta.NodeID, nonce string) string {
	if k.none() {
		return nonce
	}
	text := appendItems(nil, "osp-peer-answer-1", string(from), string(to), nonce)
	return hex.EncodeToString(k.sign(text))
}

// Signer signs what a node sends.
type Signer struct {
	Self meta.NodeID
	// Key is none where the channel says who speaks.
	Key Key
	// Now is time.Now where it is nil.
	Now func() time.Time
}

// Sign returns the fields to send along with m, which has no more than what is
// in Fields: those of m under their names on the wire, and those that prove them.
func (s Signer) Sign(to meta.NodeID, m Message) ([]Field, error) {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails (crypto/rand)
	h := head{node: string(s.Self), to: string(to), nonce: hex.EncodeToString(nonce[:]), time: strconv.FormatInt(now().UnixMilli(), 10)}
	values, err := m.outgoing()
	if err != nil {
		return nil, err
	}
	fields := []Field{{HeaderNode, h.node}, {HeaderTo, h.to}, {HeaderTime, h.time}, {HeaderNonce, h.nonce}}
	for i, v := range values {
		if v != nil {
			fields = append(fields, Field{signed[i].wire, *v})
		}
	}
	if !s.Key.none() {
		fields = append(fields, Field{HeaderSignature, hex.EncodeToString(s.Key.sign(canonical(m, h, values)))})
	}
	return fields, nil
}
