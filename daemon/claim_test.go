package daemon_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const mib = 1 << 20

func TestClaimMakesAFileOfItsOwn(t *testing.T) {
	for name, size := range map[string]int{"one byte": 1, "proved whole": 256 << 10, "sampled": 256<<10 + 1, "many blocks": 21*mib + 5} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			defer w.end()
			data := noise(1, size)
			old := w.put(ann, "same", data)
			objects := len(w.objects())
			for _, name := range []string{"same", "other"} {
				u := w.begin(ann, name, data)
				if !u.Maybe {
					t.Fatal("not told maybe")
				}
				f, err := w.claim(ann, u.UID, data)
				must(t, err)
				d := digestOf(data)
				if f.UID != u.UID || f.UID == old || f.Name != name || f.Size != int64(size) || f.Digest == nil || *f.Digest != d || f.ETag != `"`+d.String()+`"` {
					t.Fatalf("the file is %+v", f)
				}
				w.reads(ann, f.UID, data)
				got, err := w.Upload(t.Context(), ann, f.UID)
				must(t, err)
				if got.State != protocol.UploadCommitted || got.File == nil || !got.Maybe {
					t.Fatalf("the upload is %+v", got)
				}
				w.delete(ann, f.UID)
			}
			w.reads(ann, old, data)
			w.round()
			if got := len(w.objects()); got != objects {
				t.Fatalf("%d objects, before %d", got, objects)
			}
			if w.outcomes["instant"] != 2 || w.saved != 2*int64(size) {
				t.Fatalf("counted %v, %d bytes saved", w.outcomes, w.saved)
			}
		})
	}
}

func TestClaimAfterSomePartsFreesThem(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 9*mib)
	w.put(ann, "a", data)
	objects := len(w.objects())
	u := w.begin(ann, "b", data)
	must(t, w.sendParts(ann, u, data[:u.PartSize]))
	_, err := w.claim(ann, u.UID, data)
	must(t, err)
	w.reads(ann, u.UID, data)
	wantKind(t, w.sendParts(ann, u, data), protocol.KindCommitted)
	w.round()
	if got := len(w.objects()); got != objects {
		t.Fatalf("%d objects, before %d", got, objects)
	}
}

// TestMaybeIsWithinScope: who is told maybe, and whose claims are heard.
func TestMaybeIsWithinScope(t *testing.T) {
	for scope, want := range map[meta.Scope]map[protocol.Owner]bool{
		meta.ScopeOwner:  {ann: true, bob: false},
		meta.ScopeGlobal: {ann: true, bob: true},
		meta.ScopeOff:    {ann: false, bob: false},
	} {
		t.Run(string(scope), func(t *testing.T) {
			w := newWorld(t, setup{instant: scope})
			defer w.end()
			data := noise(1, 2*mib)
			w.put(ann, "a", data)
			for owner, maybe := range want {
				u := w.begin(owner, "again", data)
				if u.Maybe != maybe {
					t.Errorf("%s is told maybe: %v", owner, u.Maybe)
				}
				if got := w.probe(owner, data, noise(2, 2*mib)); got[0] != maybe || got[1] {
					t.Errorf("%s is told %v by a probe", owner, got)
				}
				_, err := w.claim(owner, u.UID, data)
				if maybe {
					must(t, err)
					w.reads(owner, u.UID, data)
				} else {
					wantKind(t, err, protocol.KindClaimRefused)
				}
			}
		})
	}
}

func TestMaybeNeedsSizeFingerprintAndALiveFile(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data, size := noise(1, 100), int64(100)
	fp, err := protocol.FingerprintReader(bytes.NewReader(data), size)
	must(t, err)
	maybe := func(b protocol.BeginUpload) bool {
		t.Helper()
		b.Name = "f"
		r, err := w.Begin(t.Context(), ann, b, nil)
		must(t, err)
		u, err := w.Upload(t.Context(), ann, r.UID)
		must(t, err)
		if listed, err := w.Uploads(t.Context(), ann, 1, ""); err != nil || listed.Uploads[0].Maybe != u.Maybe {
			t.Fatalf("the list says maybe %v (%v)", listed.Uploads[0].Maybe, err)
		}
		return u.Maybe
	}
	whole := protocol.BeginUpload{Size: &size, Fingerprint: &fp}
	if maybe(whole) {
		t.Error("maybe, with nothing there")
	}
	open := w.begin(ann, "open", data)
	must(t, w.sendParts(ann, open, data))
	if maybe(whole) {
		t.Error("maybe, for an open upload")
	}
	w.commit(ann, open.UID)
	if !maybe(whole) {
		t.Error("not maybe, with a file there")
	}
	found := whole
	found.Resume = true
	w.clocks.pass(time.Minute)
	if !maybe(found) {
		t.Error("not maybe, found by resume")
	}
	if maybe(protocol.BeginUpload{Size: &size}) || maybe(protocol.BeginUpload{Fingerprint: &fp}) {
		t.Error("maybe without a size or a fingerprint")
	}
	soon := protocol.TimeOf(w.clocks.Now().Add(time.Minute))
	expiry := &soon.Time
	_, err = w.db.PatchFile(t.Context(), ann, open.UID, meta.FilePatch{ExpiresAt: &expiry})
	must(t, err)
	w.clocks.pass(2 * time.Minute)
	if maybe(whole) {
		t.Error("maybe, for an expired file")
	}
	empty := int64(0)
	efp, err := protocol.FingerprintReader(bytes.NewReader(nil), 0)
	must(t, err)
	w.putSmall(ann, "empty", nil)
	if maybe(protocol.BeginUpload{Size: &empty, Fingerprint: &efp}) {
		t.Error("maybe, for an empty file")
	}
}

// TestMalformedClaims: text that is no nonce or no proof is told from one that
// is wrong, before anything is looked up.
func TestMalformedClaims(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 1000)
	w.put(ann, "a", data)
	u := w.begin(ann, "b", data)
	c, err := w.StartClaim(t.Context(), ann, u.UID, digestOf(data), "s")
	must(t, err)
	proof := w.proof(u.UID, c, data)
	for name, in := range map[string][2]string{
		"no nonce":              {"", proof},
		"nonce too short":       {c.Nonce[:42], proof},
		"nonce too long":        {c.Nonce + "A", proof},
		"nonce padded":          {c.Nonce + "=", proof},
		"nonce in plain base64": {strings.Repeat("+", 43), proof},
		"nonce with a space":    {c.Nonce[:42] + " ", proof},
		"nonce with loose bits": {c.Nonce[:42] + "B", proof},
		"nonce in hex":          {strings.Repeat("a", 64), proof},
		"no proof":              {c.Nonce, ""},
		"proof too short":       {c.Nonce, proof[:62]},
		"proof of odd length":   {c.Nonce, proof[:63]},
		"proof too long":        {c.Nonce, proof + "00"},
		"proof in capitals":     {c.Nonce, strings.Repeat("AB", 32)},
		"proof no hex":          {c.Nonce, strings.Repeat("g", 64)},
		"proof with a space":    {c.Nonce, proof[:63] + " "},
	} {
		if name == "nonce with loose bits" && c.Nonce[42] == 'B' {
			continue // cannot be: the last digit has two bits of use
		}
		_, err := w.FinishClaim(t.Context(), ann, u.UID, in[0], in[1], "s")
		if protocol.KindOf(err) != protocol.KindBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = w.FinishClaim(t.Context(), ann, u.UID, c.Nonce, proof, "s")
	must(t, err) // none of it used the nonce
}

// refusal is all that a caller sees of an error.
func refusal(err error) string {
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok {
		return "no error of ours"
	}
	return string(e.Kind) + "|" + e.Message + "|" + e.Hint
}

// TestEveryRefusalIsTheSame: the attacks, and that their answers tell nothing
// apart.
func TestEveryRefusalIsTheSame(t *testing.T) {
	data := noise(1, 3*mib)
	other := append(noise(1, 3*mib-1), 'x')
	type scene struct {
		*world
		u protocol.Upload
		c protocol.Challenge
	}
	attacks := map[string]func(s scene) error{
		"unknown digest": func(s scene) error {
			_, err := s.StartClaim(t.Context(), ann, s.u.UID, digestOf([]byte("nowhere")), "s")
			return err
		},
		"digest of another size": func(s scene) error {
			s.putSmall(ann, "small", []byte("small"))
			_, err := s.StartClaim(t.Context(), ann, s.u.UID, digestOf([]byte("small")), "s")
			return err
		},
		"not told maybe": func(s scene) error {
			u := s.begin(ann, "u", noise(9, 77))
			_, err := s.StartClaim(t.Context(), ann, u.UID, digestOf(data), "s")
			return err
		},
		"another owner's content": func(s scene) error {
			u := s.begin(bob, "b", data)
			_, err := s.StartClaim(t.Context(), bob, u.UID, digestOf(data), "s")
			return err
		},
		"committed upload": func(s scene) error {
			must(t, s.sendParts(ann, s.u, data))
			s.commit(ann, s.u.UID)
			_, err := s.StartClaim(t.Context(), ann, s.u.UID, digestOf(data), "s")
			return err
		},
		"committed between the rounds": func(s scene) error {
			must(t, s.sendParts(ann, s.u, data))
			s.commit(ann, s.u.UID)
			_, err := s.FinishClaim(t.Context(), ann, s.u.UID, s.c.Nonce, s.proof(s.u.UID, s.c, data), "s")
			return err
		},
		"no challenge": func(s scene) error {
			u := s.begin(ann, "u", data)
			_, err := s.FinishClaim(t.Context(), ann, u.UID, s.c.Nonce, s.proof(u.UID, s.c, data), "s")
			return err
		},
		"proof of nothing": func(s scene) error {
			_, err := s.FinishClaim(t.Context(), ann, s.u.UID, s.c.Nonce, strings.Repeat("0", 64), "s")
			return err
		},
		"proof of other bytes": func(s scene) error {
			c := s.c
			n, err := protocol.ParseNonce(c.Nonce)
			must(t, err)
			p, err := protocol.Proof(n, s.u.UID, int64(len(other)), digestOf(data), c.Ranges, bytes.NewReader(noise(7, len(other))))
			must(t, err)
			_, err = s.FinishClaim(t.Context(), ann, s.u.UID, c.Nonce, hex.EncodeToString(p[:]), "s")
			return err
		},
		"replayed after a failure": func(s scene) error {
			_, err := s.FinishClaim(t.Context(), ann, s.u.UID, s.c.Nonce, strings.Repeat("0", 64), "s")
			wantKind(t, err, protocol.KindClaimRefused)
			_, err = s.FinishClaim(t.Context(), ann, s.u.UID, s.c.Nonce, s.proof(s.u.UID, s.c, data), "s")
			return err
		},
		"replayed after a success with another proof": func(s scene) error {
			_, err := s.FinishClaim(t.Context(), ann, s.u.UID, s.c.Nonce, s.proof(s.u.UID, s.c, data), "s")
			must(t, err)
			_, err = s.FinishClaim(t.Context(), ann, s.u.UID, s.c.Nonce, strings.Repeat("0", 64), "s")
			return err
		},
		"replaced by a newer challenge": func(s scene) error {
			_, err := s.StartClaim(t.Context(), ann, s.u.UID, digestOf(data), "s")
			must(t, err)
			_, err = s.FinishClaim(t.Context(), ann, s.u.UID, s.c.Nonce, s.proof(s.u.UID, s.c, data), "s")
			return err
		},
		"another upload's nonce": func(s scene) error {
			u := s.begin(ann, "u", data)
			_, err := s.StartClaim(t.Context(), ann, u.UID, digestOf(data), "s")
			must(t, err)
			_, err = s.FinishClaim(t.Context(), ann, u.UID, s.c.Nonce, s.proof(u.UID, s.c, data), "s")
			return err
		},
		"another owner's nonce": func(s scene) error {
			s.put(bob, "b", data)
			u := s.begin(bob, "u", data)
			_, err := s.StartClaim(t.Context(), bob, u.UID, digestOf(data), "s")
			must(t, err)
			_, err = s.FinishClaim(t.Context(), bob, u.UID, s.c.Nonce, s.proof(u.UID, s.c, data), "s")
			return err
		},
		"expired nonce": func(s scene) error {
			s.clocks.pass(60 * time.Second)
			_, err := s.FinishClaim(t.Context(), ann, s.u.UID, s.c.Nonce, s.proof(s.u.UID, s.c, data), "s")
			return err
		},
		"content deleted between the rounds": func(s scene) error {
			files, err := s.db.Files(t.Context(), ann, meta.FileQuery{Limit: 10})
			must(t, err)
			for _, f := range files {
				s.delete(ann, f.UID)
			}
			_, err = s.FinishClaim(t.Context(), ann, s.u.UID, s.c.Nonce, s.proof(s.u.UID, s.c, data), "s")
			return err
		},
	}
	seen := map[string]string{}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			defer w.end()
			w.put(ann, "a", data)
			u := w.begin(ann, "again", data)
			c, err := w.StartClaim(t.Context(), ann, u.UID, digestOf(data), "s")
			must(t, err)
			err = attack(scene{w, u, c})
			wantKind(t, err, protocol.KindClaimRefused)
			seen[refusal(err)] = name
		})
	}
	if len(seen) != 1 {
		t.Errorf("refusals can be told apart: %v", seen)
	}
}

func TestClaimOnAnUploadThatIsNotTheirs(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 1000)
	w.put(ann, "a", data)
	w.put(bob, "b", data)
	u := w.begin(ann, "again", data)
	c, err := w.StartClaim(t.Context(), ann, u.UID, digestOf(data), "s")
	must(t, err)
	_, err = w.StartClaim(t.Context(), bob, u.UID, digestOf(data), "s")
	wantKind(t, err, protocol.KindNotFound)
	_, err = w.FinishClaim(t.Context(), bob, u.UID, c.Nonce, w.proof(u.UID, c, data), "s")
	wantKind(t, err, protocol.KindNotFound)
	_, err = w.FinishClaim(t.Context(), ann, u.UID, c.Nonce, w.proof(u.UID, c, data), "s")
	must(t, err)
}

// TestHalfOfTheBytes: who holds half of a file, and guesses zeros for the
// rest, does not get it in 200 tries; nor does who holds its digest alone.
func TestHalfOfTheBytes(t *testing.T) {
	w := newWorld(t, setup{failures: 1000})
	defer w.end()
	data := noise(1, 5*mib)
	w.put(ann, "a", data)
	u := w.begin(ann, "b", data)
	half := append(bytes.Clone(data[:len(data)/2]), make([]byte, len(data)-len(data)/2)...)
	for i := range 200 {
		c, err := w.StartClaim(t.Context(), ann, u.UID, digestOf(data), "s")
		must(t, err)
		n, err := protocol.ParseNonce(c.Nonce)
		must(t, err)
		held := io.ReaderAt(bytes.NewReader(half))
		if i%2 == 0 {
			held = bytes.NewReader(make([]byte, len(data)))
		}
		p, err := protocol.Proof(n, u.UID, int64(len(data)), digestOf(data), c.Ranges, held)
		must(t, err)
		_, err = w.FinishClaim(t.Context(), ann, u.UID, c.Nonce, hex.EncodeToString(p[:]), "s")
		wantKind(t, err, protocol.KindClaimRefused)
	}
	if jobs, err := w.db.Jobs(t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 10, Kind: protocol.JobScrub}); err != nil || len(jobs) != 1 {
		t.Fatalf("%d scrubs were asked for (%v), want one", len(jobs), err)
	}
	if r := w.round(); r.Scrubbed != 1 || r.Damaged != 0 {
		t.Fatalf("the scrub found %+v", r)
	}
	must(t, w.sendParts(ann, u, data))
	w.commit(ann, u.UID)
	w.reads(ann, u.UID, data)
}

// TestEqualFingerprintsOfOtherBytes: a fingerprint is a hint and no more.
func TestEqualFingerprintsOfOtherBytes(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 8*mib)
	twin := bytes.Clone(data)
	twin[mib] ^= 1 // no window has it
	w.put(ann, "a", data)
	u := w.begin(ann, "twin", twin)
	if !u.Maybe {
		t.Fatal("the twins' fingerprints differ")
	}
	_, err := w.claim(ann, u.UID, twin)
	wantKind(t, err, protocol.KindClaimRefused)
	must(t, w.sendParts(ann, u, twin))
	w.commit(ann, u.UID)
	w.reads(ann, u.UID, twin)
}

func TestClaimRepeated(t *testing.T) {
	w := newWorld(t, setup{failures: 1})
	defer w.end()
	data := noise(1, 300<<10)
	w.put(ann, "a", data)
	u := w.begin(ann, "b", data)
	c, err := w.StartClaim(t.Context(), ann, u.UID, digestOf(data), "s")
	must(t, err)
	first, err := w.FinishClaim(t.Context(), ann, u.UID, c.Nonce, w.proof(u.UID, c, data), "s")
	must(t, err)
	w.clocks.pass(time.Hour)
	again, err := w.FinishClaim(t.Context(), ann, u.UID, c.Nonce, w.proof(u.UID, c, data), "s")
	must(t, err)
	if again.UID != first.UID || again.ETag != first.ETag {
		t.Fatalf("repeated: %+v, first %+v", again, first)
	}
	if w.outcomes["instant"] != 1 {
		t.Fatalf("counted %v", w.outcomes)
	}
	w.delete(ann, u.UID)
	_, err = w.FinishClaim(t.Context(), ann, u.UID, c.Nonce, w.proof(u.UID, c, data), "s")
	wantKind(t, err, protocol.KindNotFound)
}

func TestFailedProofsAreLimited(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 1000)
	w.put(ann, "a", data)
	u := w.begin(ann, "b", data)
	fail := func(subject string) error {
		c, err := w.StartClaim(t.Context(), ann, u.UID, digestOf(data), subject)
		if err != nil {
			return err
		}
		_, err = w.FinishClaim(t.Context(), ann, u.UID, c.Nonce, strings.Repeat("0", 64), subject)
		return err
	}
	for range 10 {
		wantKind(t, fail("token"), protocol.KindClaimRefused)
		w.clocks.pass(time.Minute)
	}
	// A challenge given before the limit was reached is no way round it.
	c, err := w.StartClaim(t.Context(), ann, u.UID, digestOf(data), "another")
	must(t, err)
	_, err = w.FinishClaim(t.Context(), ann, u.UID, c.Nonce, w.proof(u.UID, c, data), "token")
	wantKind(t, err, protocol.KindRateLimited)
	e, _ := errors.AsType[*protocol.Error](err)
	if e.RetryAfter != 50*time.Minute {
		t.Errorf("retry after %s, want 50 minutes", e.RetryAfter)
	}
	wantKind(t, fail("token"), protocol.KindRateLimited)
	wantKind(t, fail("another"), protocol.KindClaimRefused)
	w.clocks.pass(50 * time.Minute)
	wantKind(t, fail("token"), protocol.KindClaimRefused)
	wantKind(t, fail("token"), protocol.KindRateLimited)
	w.clocks.pass(time.Hour)
	_, err = w.claim(ann, u.UID, data)
	must(t, err)
}

// TestPoisoning: a blob is damaged. A claim meets that and is refused; the
// bytes put again heal the old uid too; nothing is claimed from damage.
func TestPoisoning(t *testing.T) {
	for _, mode := range []file.VerifyMode{file.VerifyAlways, file.VerifyFirst, file.VerifyOff} {
		for name, size := range map[string]int{"proved whole": 1000, "sampled": 3 * mib} {
			t.Run(string(mode)+" "+name, func(t *testing.T) {
				w := newWorld(t, setup{verify: mode})
				defer w.end()
				data := noise(1, size)
				old := w.put(ann, "a", data)
				w.reads(ann, old, data) // what passed lately is checked again all the same
				w.damage(ann, old, int64(size/2))
				u := w.begin(ann, "b", data)
				_, err := w.claim(ann, u.UID, data)
				wantKind(t, err, protocol.KindClaimRefused)
				err = w.read(ann, old, io.Discard)
				wantKind(t, err, protocol.KindContentCorrupt)
				if w.begin(ann, "c", data).Maybe {
					t.Error("maybe, for a damaged content")
				}
				must(t, w.sendParts(ann, u, data))
				w.commit(ann, u.UID)
				w.reads(ann, u.UID, data)
				w.reads(ann, old, data)
				w.round()
				if n := len(w.check().Pending); n != 0 {
					t.Errorf("%d pending after the sweep", n)
				}
			})
		}
	}
}

// TestFailedProofHasTheContentScrubbed: rot that no sample met is found by the
// scrub that a failed proof asks for.
func TestFailedProofHasTheContentScrubbed(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 21*mib)
	old := w.put(ann, "a", data)
	w.sampled = func() { w.damage(ann, old, 10*mib) }
	u := w.begin(ann, "b", data)
	c, err := w.StartClaim(t.Context(), ann, u.UID, digestOf(data), "s")
	must(t, err)
	_, err = w.FinishClaim(t.Context(), ann, u.UID, c.Nonce, strings.Repeat("0", 64), "s")
	wantKind(t, err, protocol.KindClaimRefused)
	if r := w.round(); r.Scrubbed != 1 || r.Damaged != 1 {
		t.Fatalf("the scrub found %+v", r)
	}
	if r := w.round(); r.Scrubbed != 0 {
		t.Fatalf("scrubbed again: %+v", r)
	}
	err = w.read(ann, old, io.Discard)
	wantKind(t, err, protocol.KindContentCorrupt)
	w.put(ann, "a", data)
	w.reads(ann, old, data)
}

func TestClaimEndsWithItsContext(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 1000)
	w.put(ann, "a", data)
	u := w.begin(ann, "b", data)
	c, err := w.StartClaim(t.Context(), ann, u.UID, digestOf(data), "s")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	w.sampling = cancel
	_, err = w.FinishClaim(ctx, ann, u.UID, c.Nonce, w.proof(u.UID, c, data), "s")
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	w.sampling = nil
	_, err = w.claim(ann, u.UID, data)
	must(t, err)
}
