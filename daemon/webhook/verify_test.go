package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Verify reports whether a message is genuine. key is the base64 behind whsec_,
// decoded, and body the bytes as they came.
func Verify(key []byte, h http.Header, body []byte, now time.Time) bool {
	stamp, err := strconv.ParseInt(h.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(stamp, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", h.Get("Webhook-Id"), stamp, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for got := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		if hmac.Equal([]byte(got), []byte(want)) {
			return true
		}
	}
	return false
}

// TestVerify: what docs/events.md tells receivers to do accepts what is sent,
// and nothing else.
func TestVerify(t *testing.T) {
	key, at, body := NewSecret(), time.Unix(1_700_000_000, 0), []byte(`{"a":1}`)
	h := http.Header{}
	sign(h, key, "msg_1_1", at, body)
	if !Verify(key, h, body, at) || !Verify(key, h, body, at.Add(5*time.Minute)) {
		t.Error("what is genuine is refused")
	}
	rotated := h.Clone()
	rotated.Set(HeaderSignature, "v1,AAAA "+h.Get(HeaderSignature)+" v2,x")
	if !Verify(key, rotated, body, at) {
		t.Error("one of several signatures is not found")
	}
	for name, change := range map[string]func(http.Header) ([]byte, []byte, time.Time){
		"another key":  func(http.Header) ([]byte, []byte, time.Time) { return NewSecret(), body, at },
		"another body": func(http.Header) ([]byte, []byte, time.Time) { return key, []byte(`{"a":2}`), at },
		"too old":      func(http.Header) ([]byte, []byte, time.Time) { return key, body, at.Add(6 * time.Minute) },
		"ahead":        func(http.Header) ([]byte, []byte, time.Time) { return key, body, at.Add(-6 * time.Minute) },
		"another id": func(h http.Header) ([]byte, []byte, time.Time) {
			h.Set(HeaderID, "msg_1_2")
			return key, body, at
		},
		"another time": func(h http.Header) ([]byte, []byte, time.Time) {
			h.Set(HeaderTimestamp, "1700000001")
			return key, body, at
		},
		"no signature": func(h http.Header) ([]byte, []byte, time.Time) {
			h.Del(HeaderSignature)
			return key, body, at
		},
	} {
		changed := h.Clone()
		if k, b, now := change(changed); Verify(k, changed, b, now) {
			t.Errorf("%s is accepted", name)
		}
	}
}
