package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// The headers of Standard Webhooks (standardwebhooks.com).
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// secretPrefix begins a secret as it is shown, so that it is recognized where it
// leaks.
const secretPrefix = "whsec_"

// NewSecret makes the key of a webhook.
func NewSecret() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
}

// SecretText is a key as the receiver is told it.
func SecretText(secret []byte) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// sign sets the headers by which a receiver knows the message for ours and
// fresh: the HMAC-SHA256 over id, time and body.
func sign(h http.Header, secret []byte, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, stamp)
	h.Set(HeaderSignature, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// trace is of all tries of a message, whenever and by whichever node they are
// made, and of no other: an event may be sent days after the request that caused
// it, whose trace has ended by then.
func (m Message) trace() (t protocol.Trace) {
	mac := hmac.New(sha256.New, m.Secret)
	mac.Write([]byte("trace\n" + m.ID))
	copy(t.ID[:], mac.Sum(nil))
	return t
}
