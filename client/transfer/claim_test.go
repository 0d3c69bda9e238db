package transfer

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// fakeClaim is a claim as the fake daemon keeps it.
type fakeClaim struct {
	nonce  protocol.Nonce
	ranges [][2]int64
	digest protocol.Digest
}

// maybe reports whether some File has the size and fingerprint; d.mu is held.
func (d *fakeDaemon) maybe(b protocol.BeginUpload) bool {
	if !d.instant || b.Size == nil || b.Fingerprint == nil {
		return false
	}
	for _, f := range d.files {
		fp, err := protocol.FingerprintReader(bytes.NewReader(f.data), f.file.Size)
		if err == nil && f.file.Size == *b.Size && fp == *b.Fingerprint {
			return true
		}
	}
	return false
}

// claim is POST …/claim: both rounds.
func (d *fakeDaemon) claim(w http.ResponseWriter, r *http.Request, body []byte) {
	u := d.find(w, r)
	if u == nil {
		return
	}
	var c protocol.Claim
	if err := protocol.DecodeRequest(body, &c); err != nil {
		d.t.Errorf("claim: %v", err)
	}
	if !u.up.Maybe {
		d.t.Errorf("upload %s is claimed although begin did not say maybe", u.up.UID)
	}
	switch {
	case c.Digest != nil && d.known(*c.Digest) != nil && d.files[u.up.UID] == nil:
		d.nextUID++
		u.claim = fakeClaim{nonce: protocol.Nonce{0: 1, 31: byte(d.nextUID)}, digest: *c.Digest}
		u.claim.ranges, _ = protocol.ClaimRanges(*u.up.Size, &counting{})
		writeJSON(w, 200, protocol.Challenge{Nonce: u.claim.nonce.String(), Ranges: u.claim.ranges})
	case c.Proof != nil && *c.Nonce == u.claim.nonce.String():
		d.proof(w, u, *c.Proof)
	default:
		writeProblem(w, protocol.KindClaimRefused, nil)
	}
}

// proof is the second round.
func (d *fakeDaemon) proof(w http.ResponseWriter, u *fakeUpload, text string) {
	data := d.known(u.claim.digest)
	want, err := protocol.Proof(u.claim.nonce, u.up.UID, *u.up.Size, u.claim.digest, u.claim.ranges, bytes.NewReader(data))
	switch {
	case err != nil:
		d.t.Errorf("proof: %v", err)
	case text != hex.EncodeToString(want[:]):
		writeProblem(w, protocol.KindClaimRefused, nil)
	case d.files[u.up.UID] != nil: // again
		writeJSON(w, 200, d.files[u.up.UID].file)
	default:
		writeJSON(w, 200, d.store(u.up.UID, u.up.Name, data))
	}
}

func (d *fakeDaemon) known(digest protocol.Digest) []byte {
	for _, f := range d.files {
		if *f.file.Digest == digest {
			return f.data
		}
	}
	return nil
}

// counting is randomness that is none.
type counting struct{ n byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0
	}
	c.n++
	p[len(p)-1] = c.n
	return len(p), nil
}

// instantRig has a daemon that knows the data of the file at path.
func instantRig(t *testing.T, n int) (r *rig, path string, data []byte) {
	r = newRig(t)
	r.d.instant = true
	path, data = r.write(t, "a.bin", n)
	r.d.add("known", data)
	return r, path, data
}

func TestPutOfKnownContentIsInstant(t *testing.T) {
	r, path, data := instantRig(t, 3*testPart+5)
	res, err := r.Put(t.Context(), PutRequest{Path: path, Name: "other"})
	if err != nil || res.Outcome != Instant || res.SentBytes != 0 || res.ResumedBytes != 0 || res.InstantBytes != int64(len(data)) ||
		!res.Verified || res.ClaimRefused || res.Name != "other" || res.Digest == nil {
		t.Fatalf("%+v, %v", res, err)
	}
	r.d.stored(t, res.UID, data)
	if n := r.d.count("PUT ") + r.d.count("POST /v1/uploads/"+res.UID.String()+"/commit"); n != 0 {
		t.Errorf("%d requests sent parts or committed", n)
	}
	if s := r.cfg.Progress.Snapshot(); s.Instant != int64(len(data)) || s.Done() != s.Bytes || s.Moved != 0 || s.Hashed != 0 {
		t.Errorf("progress %+v", s)
	}
	r.transfers(t, 0)
}

func TestClaimThatIsRefusedBecomesAnUpload(t *testing.T) {
	for _, kind := range []protocol.Kind{protocol.KindClaimRefused, protocol.KindRateLimited, protocol.KindInternal, protocol.KindContentCorrupt} {
		for round := 1; round <= 2; round++ {
			t.Run(string(kind), func(t *testing.T) {
				r, path, data := instantRig(t, 2*testPart)
				claims := 0
				r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
					if strings.HasSuffix(q.URL.Path, "/claim") {
						if claims++; claims == round {
							writeProblem(w, kind, nil)
							return
						}
					}
					serve(w, q)
				})
				res, err := r.Put(t.Context(), PutRequest{Path: path})
				if err != nil || res.Outcome != Uploaded || res.SentBytes != int64(len(data)) || res.InstantBytes != 0 || !res.ClaimRefused || res.Retries != 0 {
					t.Fatalf("%+v, %v", res, err)
				}
				r.d.stored(t, res.UID, data)
				if claims != round || len(r.warned) > 0 {
					t.Errorf("%d claims, warned %q; want %d and silence", claims, r.warned, round)
				}
			})
		}
	}
}

func TestEqualFingerprintsOfOtherContentAreNoClaim(t *testing.T) {
	r := newRig(t)
	r.d.instant = true
	path, data := r.write(t, "a.bin", 3*testPart)
	other := slices.Clone(data)
	other[testPart+protocol.HeadSize+7] ^= 1 // between the windows
	known := r.d.add("known", other)
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.Outcome != Uploaded || !res.ClaimRefused || *res.Digest == *known.Digest {
		t.Fatalf("%+v, %v", res, err)
	}
	r.d.stored(t, res.UID, data)
}

func TestLostAnswersOfAClaim(t *testing.T) {
	for lost := 1; lost <= 2; lost++ {
		r, path, data := instantRig(t, 2*testPart)
		claims := 0
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			if strings.HasSuffix(q.URL.Path, "/claim") {
				if claims++; claims == lost {
					loseReply(q, serve)
				}
			}
			serve(w, q)
		})
		res, err := r.Put(t.Context(), PutRequest{Path: path})
		if err != nil || res.Outcome != Instant || res.SentBytes != 0 || res.Retries != 1 || claims != 3 {
			t.Errorf("answer %d lost: %+v, %v after %d requests", lost, res, err, claims)
			continue
		}
		r.d.stored(t, res.UID, data)
	}
}

func TestNothingIsClaimedWithoutMaybe(t *testing.T) {
	tests := []struct {
		name    string
		size    int
		instant bool
	}{
		{"the daemon does not say maybe", 2 * testPart, false},
		{"one request carries the file", protocol.OneShotMax, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, path, data := instantRig(t, tt.size)
			r.d.instant = tt.instant
			res, err := r.Put(t.Context(), PutRequest{Path: path})
			if err != nil || res.Outcome != Uploaded || res.SentBytes != int64(len(data)) || res.ClaimRefused {
				t.Fatalf("%+v, %v", res, err)
			}
			for _, q := range r.d.requests {
				if strings.HasSuffix(q, "/claim") {
					t.Errorf("%s although nobody said maybe", q)
				}
			}
		})
	}
}

func TestUploadWithPartsIsNotClaimed(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 4*testPart)
	first := interrupt(t, r, path, 2)
	r.d.instant = true
	r.d.add("known", data)
	r.d.upload(first.UID).up.Maybe = true
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.Outcome != Resumed || res.ResumedBytes != 2*testPart || res.InstantBytes != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
}

// A run that dies while it hashes leaves an upload without parts; the next one
// claims that.
func TestInterruptedClaimIsClaimedAgain(t *testing.T) {
	r, path, _ := instantRig(t, 2*testPart)
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, "/claim") {
			writeProblem(w, protocol.KindDraining, nil)
			return
		}
		serve(w, q)
	})
	first, err := r.Put(t.Context(), PutRequest{Path: path})
	wantKind(t, err, protocol.KindDraining)
	r.d.on(nil)
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.UID != first.UID || res.Outcome != Instant || first.InstantBytes != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	r.transfers(t, 0)
}

func TestFileThatChangesWhileItIsClaimed(t *testing.T) {
	r, path, data := instantRig(t, 2*testPart)
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		serve(w, q)
		if strings.HasSuffix(q.URL.Path, "/claim") { // the challenge is out, the proof not yet computed
			if err := os.WriteFile(path, data[:testPart], 0o600); err != nil {
				t.Error(err)
			}
		}
	})
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	wantKind(t, err, protocol.KindLocalChanged)
	if r.d.files[res.UID] != nil || res.InstantBytes != 0 {
		t.Errorf("%+v was committed", res)
	}
}

func TestChallengeThatNoDaemonGives(t *testing.T) {
	for _, ch := range []protocol.Challenge{
		{Nonce: "short", Ranges: [][2]int64{{0, 1}}},
		{Nonce: protocol.Nonce{}.String(), Ranges: [][2]int64{{0, 2 * testPart}}},
	} {
		r, path, data := instantRig(t, 2*testPart)
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			if strings.HasSuffix(q.URL.Path, "/claim") {
				writeJSON(w, 200, ch)
				return
			}
			serve(w, q)
		})
		res, err := r.Put(t.Context(), PutRequest{Path: path})
		if err != nil || res.Outcome != Uploaded || !res.ClaimRefused {
			t.Fatalf("%+v, %v", res, err)
		}
		r.d.stored(t, res.UID, data)
	}
}

func TestClaimAnsweredWithOtherContent(t *testing.T) {
	r, path, _ := instantRig(t, 2*testPart)
	other := r.d.add("other", random(2*testPart, 99))
	claims := 0
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, "/claim") {
			if claims++; claims == 2 {
				writeJSON(w, 200, other)
				return
			}
		}
		serve(w, q)
	})
	_, err := r.Put(t.Context(), PutRequest{Path: path})
	wantKind(t, err, protocol.KindIntegrity)
}
