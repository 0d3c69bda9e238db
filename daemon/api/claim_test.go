package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestClaim: both rounds over HTTP, and the second again after a lost answer.
func TestClaim(t *testing.T) {
	o := startOspd(t)
	content := noise(300 << 10)
	stored := into[protocol.File](t, o.oneShot("name=first", content), http.StatusCreated)
	u := o.begin(fmt.Sprintf(`{"name": "second", "size": %d, "fingerprint": %q}`, len(content), fingerprintOf(string(content))))
	if !u.Maybe {
		t.Fatalf("the content is not offered for a claim: %+v", u)
	}
	path := "/v1/uploads/" + u.UID.String()
	if got := into[protocol.Upload](t, o.do(http.MethodGet, path, ""), http.StatusOK); !got.Maybe {
		t.Error("a look at the upload does not say maybe")
	}
	ch := into[protocol.Challenge](t, o.do(http.MethodPost, path+"/claim", `{"digest": "`+stored.Digest.String()+`"}`), http.StatusOK)
	nonce, err := protocol.ParseNonce(ch.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := protocol.Proof(nonce, u.UID, int64(len(content)), *stored.Digest, ch.Ranges, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	answer := fmt.Sprintf(`{"nonce": %q, "proof": "%x"}`, ch.Nonce, proof)
	for range 2 {
		f := into[protocol.File](t, o.do(http.MethodPost, path+"/claim", answer), http.StatusOK)
		if f.UID != u.UID || f.Name != "second" || *f.Digest != *stored.Digest {
			t.Errorf("claimed %+v", f)
		}
	}
	if a := o.do(http.MethodGet, contentPath(u.UID), ""); !bytes.Equal(a.body, content) {
		t.Errorf("the claimed file reads as %s, %d bytes", a.Status, len(a.body))
	}
}

// TestFailedProofsAreLimited: a token that guesses is told when to come back;
// another one of the same owner is not held to that.
func TestFailedProofsAreLimited(t *testing.T) {
	o := startOspd(t)
	guess := func(o *ospd, uid protocol.UID) answer {
		path := "/v1/uploads/" + uid.String() + "/claim"
		a := o.do(http.MethodPost, path, `{"digest": "`+digestOf("abc").String()+`"}`)
		if a.StatusCode != http.StatusOK {
			return a
		}
		ch := into[protocol.Challenge](t, a, http.StatusOK)
		return o.do(http.MethodPost, path, fmt.Sprintf(`{"nonce": %q, "proof": "%064x"}`, ch.Nonce, 0))
	}
	guesser, other := o.as("alice"), o.as("alice")
	uid, _ := aClaimableUpload(guesser)
	for range 10 {
		guess(guesser, uid).problem(t, protocol.KindClaimRefused)
	}
	a := guess(guesser, uid)
	a.problem(t, protocol.KindRateLimited)
	if a.Header.Get("Retry-After") == "" {
		t.Error("nothing says when to come back")
	}
	guess(other, uid).problem(t, protocol.KindClaimRefused)
}

// TestMalformedClaims: anything but one of the two rounds is a bad request,
// whatever the upload; a round that does not fit it is refused.
func TestMalformedClaims(t *testing.T) {
	o := startOspd(t)
	digest := digestOf("abc").String()
	nonce, proof := protocol.Nonce{}.String(), strings.Repeat("0", 64)
	maybe, _ := aClaimableUpload(o)
	plain, _ := anUpload(o)
	for body, kind := range map[string]protocol.Kind{
		``:                                 protocol.KindBadRequest,
		`{}`:                               protocol.KindBadRequest,
		`[]`:                               protocol.KindBadRequest,
		`{"digest": null}`:                 protocol.KindBadRequest,
		`{"digest": ""}`:                   protocol.KindBadRequest,
		`{"digest": 7}`:                    protocol.KindBadRequest,
		`{"digest": "` + digest[1:] + `"}`: protocol.KindBadRequest,
		`{"digest": "` + strings.ToUpper(digest) + `"}`:                                    protocol.KindBadRequest,
		`{"digest": "` + digest + `", "nonce": "` + nonce + `"}`:                           protocol.KindBadRequest,
		`{"digest": "` + digest + `", "proof": "` + proof + `"}`:                           protocol.KindBadRequest,
		`{"digest": "` + digest + `", "nonce": "` + nonce + `", "proof": "` + proof + `"}`: protocol.KindBadRequest,
		`{"digest": "` + digest + `", "size": 3}`:                                          protocol.KindUnknownField,
		`{"nonce": "` + nonce + `"}`:                                                       protocol.KindBadRequest,
		`{"proof": "` + proof + `"}`:                                                       protocol.KindBadRequest,
		`{"nonce": "", "proof": "` + proof + `"}`:                                          protocol.KindBadRequest,
		`{"nonce": "` + nonce + `=", "proof": "` + proof + `"}`:                            protocol.KindBadRequest,
		`{"nonce": "` + nonce[1:] + `", "proof": "` + proof + `"}`:                         protocol.KindBadRequest,
		`{"nonce": "` + nonce + `", "proof": "` + proof[1:] + `"}`:                         protocol.KindBadRequest,
		`{"nonce": "` + nonce + `", "proof": "` + proof + `0"}`:                            protocol.KindBadRequest,
		`{"nonce": "` + nonce + `", "proof": "` + strings.Repeat("A", 64) + `"}`:           protocol.KindBadRequest,
		`{"nonce": "` + nonce + `", "proof": "` + proof + `"}`:                             protocol.KindClaimRefused,
		`{"digest": "` + proof + `"}`:                                                      protocol.KindClaimRefused,
	} {
		o.do(http.MethodPost, "/v1/uploads/"+maybe.String()+"/claim", body).problem(t, kind)
		o.do(http.MethodPost, "/v1/uploads/"+plain.String()+"/claim", body).problem(t, kind)
	}
	o.do(http.MethodPost, "/v1/uploads/"+plain.String()+"/claim", `{"digest": "`+digest+`"}`).problem(t, protocol.KindClaimRefused)
	o.do(http.MethodPost, "/v1/uploads/77/claim", `{"digest": "`+digest+`"}`).problem(t, protocol.KindNotFound)
}
