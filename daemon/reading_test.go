package daemon

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// ask sends a request, and reads the answer's header and body.
func ask(t *testing.T, method, url string, body []byte, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	r, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode >= 400 {
		t.Fatalf("%s %s: %s, %q, %v", method, url, r.Status, b, err)
	}
	return r, b
}

// uploadTo puts data of one part.
func uploadTo(t *testing.T, d *Daemon, data []byte) (f protocol.File) {
	t.Helper()
	begin, err := json.Marshal(map[string]any{"name": "a", "size": len(data)})
	if err != nil {
		t.Fatal(err)
	}
	var u protocol.Upload
	_, b := ask(t, "POST", d.URL()+"/v1/uploads", begin, "Content-Type", "application/json")
	if err := json.Unmarshal(b, &u); err != nil {
		t.Fatal(err)
	}
	at := d.URL() + "/v1/uploads/" + u.UID.String()
	ask(t, "PUT", at+"/parts/1", data)
	_, b = ask(t, "POST", at+"/commit", nil)
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestDigestsComeByThemselves: a running daemon computes the sums of what is put,
// and from then on tells them with each answer; where that is off it does not.
func TestDigestsComeByThemselves(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	data := make([]byte, protocol.BlockSize+1)
	rand.NewChaCha8([32]byte{1}).Read(data)
	sha, md := sha256.Sum256(data), md5.Sum(data)
	cfg := config(t)
	cfg.Digests.Stores = digestNone
	d, stop := running(t, cfg)
	f := uploadTo(t, d, data)
	// The periodic job puts it off; nothing else would end this.
	eventually(t, func() bool {
		due, err := d.in.DB.DueDigests(t.Context(), 1)
		if err == nil && len(due) == 1 {
			d.digest.Wake()
		}
		return err == nil && len(due) == 0
	})
	content := "/v1/files/" + f.UID.String() + "/content"
	if r, _ := ask(t, "HEAD", d.URL()+content, nil); r.Header.Get("Repr-Digest") != "" {
		t.Errorf("its Repr-Digest is %s", r.Header.Get("Repr-Digest"))
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	cfg.Digests.Stores = digestLocal
	d, _ = running(t, cfg)
	more := uploadTo(t, d, data[1:]) // one block: its SHA-256 is known at once
	if sum := sha256.Sum256(data[1:]); more.SHA256 == nil || *more.SHA256 != hex.EncodeToString(sum[:]) || more.MD5 != nil {
		t.Errorf("at once it tells %v and %v", more.SHA256, more.MD5)
	}
	eventually(t, func() bool {
		var got protocol.File
		_, b := ask(t, "GET", d.URL()+"/v1/files/"+f.UID.String(), nil)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if got.MD5 == nil {
			return false
		}
		if *got.MD5 != hex.EncodeToString(md[:]) || *got.SHA256 != hex.EncodeToString(sha[:]) {
			t.Errorf("it tells %s and %s", *got.SHA256, *got.MD5)
		}
		return true
	})
	want := "sha-256=:" + base64.StdEncoding.EncodeToString(sha[:]) + ":"
	for _, rng := range []string{"", "bytes=1-2", "bytes=0-0,5-5", "bytes=1-"} {
		for _, method := range []string{"GET", "HEAD"} {
			if r, _ := ask(t, method, d.URL()+content, nil, "Range", rng); r.Header.Get("Repr-Digest") != want {
				t.Errorf("%s of %q: its Repr-Digest is %q, want %q", method, rng, r.Header.Get("Repr-Digest"), want)
			}
		}
	}
}

// TestScrubComesByItself: a running daemon reads everything, and does so again.
func TestScrubComesByItself(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	cfg := config(t)
	cfg.Scrub.Period = time.Millisecond
	d, _ := running(t, cfg)
	uploadTo(t, d, []byte("bytes"))
	var last protocol.JobID
	for range 2 {
		eventually(t, func() bool {
			jobs, err := d.in.DB.Jobs(t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 1, State: protocol.JobDone, Kind: protocol.JobScrub})
			if err != nil || len(jobs) == 0 || jobs[0].ID == last || jobs[0].Progress == nil || jobs[0].Progress.Done != int64(len("bytes")) {
				return false
			}
			last = jobs[0].ID
			return true
		})
	}
}

// eventually waits until what is expected of a running daemon is so.
func eventually(t *testing.T, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !so() {
		if ctx.Err() != nil {
			t.Fatal("it did not come to be so within a minute")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
