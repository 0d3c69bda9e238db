package upload_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// digests are digest jobs that run when the test says so.
type digests struct {
	woken  int
	asked  chan struct{} // word of each Looked
	looked chan struct{}
}

func newDigests() *digests {
	return &digests{asked: make(chan struct{}, 100), looked: make(chan struct{})}
}

func (d *digests) Wake() { d.woken++ }

func (d *digests) Looked() <-chan struct{} {
	d.asked <- struct{}{}
	return d.looked
}

// twinBench is a bench with those.
func twinBench(t *testing.T, change func(*upload.Config)) (*bench, *digests) {
	d := newDigests()
	return newEnded(t, setup{change: func(c *upload.Config) {
		c.Instant, c.Digests = meta.ScopeOwner, d
		if change != nil {
			change(c)
		}
	}}), d
}

func (b *bench) putSmall(who protocol.Owner, name, text string) protocol.UID {
	b.t.Helper()
	r, err := b.PutFile(b.t.Context(), who, upload.NewFile{Name: name, Body: []byte(text)}, nil)
	must(b.t, err)
	return r.UID
}

// findOut is the digest job of all files that are due, which are those texts, of
// different lengths.
func (b *bench) findOut(texts ...string) {
	b.t.Helper()
	due, err := b.db.DueDigests(b.t.Context(), 100)
	must(b.t, err)
	var found []meta.FoundOut
	for _, d := range due {
		for _, text := range texts {
			if int64(len(text)) == d.Size && !d.SumsKnown {
				found = append(found, meta.FoundOut{Content: d.Content, Findings: meta.Findings{MD5: md5.Sum([]byte(text)), MediaType: "text/plain"}})
			}
		}
	}
	must(b.t, b.db.RecordFindings(b.t.Context(), found, due))
}

func twin(name, text string) upload.Twin { return upload.Twin{Name: name, MD5: md5.Sum([]byte(text))} }

func (b *bench) twins(who protocol.Owner, list ...upload.Twin) []protocol.UID {
	b.t.Helper()
	uids, err := b.PutTwins(b.t.Context(), who, list)
	must(b.t, err)
	if len(uids) != len(list) {
		b.t.Fatalf("%d uids for %d files", len(uids), len(list))
	}
	return uids
}

func known(uids []protocol.UID) (k []bool) {
	for _, uid := range uids {
		k = append(k, uid != 0)
	}
	return k
}

// TestTwins: for each MD5 that the owner has a new file on the bytes that are
// there, also of one asked for twice; for others none.
func TestTwins(t *testing.T) {
	var saved int64
	var outcomes []string
	b, _ := twinBench(t, func(c *upload.Config) {
		c.Saved = func(n int64) { saved += n }
		c.Observe = func(outcome string) { outcomes = append(outcomes, outcome) }
	})
	first := b.putSmall(owner, "first.txt", "hello")
	b.putSmall("bob", "bob.txt", "secrets of bob")
	b.findOut("hello", "secrets of bob")
	outcomes = nil
	uids := b.twins(owner, twin("a.txt", "hello"), twin("b.txt", "unknown"), twin("日本/c.txt", "hello"), twin("d.txt", "secrets of bob"))
	if got := known(uids); !slices.Equal(got, []bool{true, false, true, false}) || uids[0] == uids[2] || uids[0] == first {
		t.Fatalf("uids %v", uids)
	}
	_, was := b.content(first)
	for i, name := range map[int]string{0: "a.txt", 2: "日本/c.txt"} {
		p, f := b.content(uids[i])
		if string(p) != "hello" || f.Name != name || f.ETag != was.ETag || *f.MD5 != fmt.Sprintf("%x", md5.Sum([]byte("hello"))) || *f.MediaType != "text/plain" {
			t.Errorf("%q, file %+v", p, f)
		}
	}
	if saved != 10 || !slices.Equal(outcomes, []string{"instant", "instant"}) {
		t.Errorf("%d bytes saved, %q", saved, outcomes)
	}
	must(t, b.db.DeleteFile(t.Context(), owner, first))
	if p, _ := b.content(uids[0]); string(p) != "hello" {
		t.Errorf("once the first is deleted: %q", p)
	}
	if got := b.twins("carl", twin("a.txt", "hello")); got[0] != 0 {
		t.Error("another owner's content was found")
	}
}

// TestTwinsRefused: nothing is made of a list of which one file cannot be.
func TestTwinsRefused(t *testing.T) {
	b, _ := twinBench(t, nil)
	b.putSmall(owner, "first.txt", "hello")
	b.findOut("hello")
	refused := func(want protocol.Kind, list ...upload.Twin) {
		t.Helper()
		_, err := b.PutTwins(t.Context(), owner, list)
		wants(t, err, want)
	}
	refused(protocol.KindBadName, twin("a.txt", "hello"), twin("..", "unknown"))
	refused(protocol.KindBadName, twin("", "hello"))
	refused(protocol.KindTooLarge, slices.Repeat([]upload.Twin{twin("a.txt", "hello")}, upload.MaxTwins+1)...)
	two := int64(2)
	must(t, b.db.SetQuota(t.Context(), owner, meta.Quota{Files: &two}))
	refused(protocol.KindQuotaExceeded, twin("a.txt", "hello"), twin("b.txt", "hello"))
	files, err := b.db.Files(t.Context(), owner, meta.FileQuery{Limit: 10})
	must(t, err)
	if len(files) != 1 {
		t.Errorf("%d files", len(files))
	}
	if uids := b.twins(owner); len(uids) != 0 {
		t.Errorf("of nothing %v", uids)
	}
	must(t, b.db.SetQuota(t.Context(), owner, meta.Quota{}))
	if uids := b.twins(owner, slices.Repeat([]upload.Twin{twin("a.txt", "hello")}, upload.MaxTwins)...); slices.Contains(uids, 0) {
		t.Errorf("as many as may be: %v", uids)
	}
}

func TestTwinsOff(t *testing.T) {
	b, _ := twinBench(t, func(c *upload.Config) { c.Instant = meta.ScopeOff })
	b.putSmall(owner, "first.txt", "hello")
	b.findOut("hello")
	if uids := b.twins(owner, twin("a.txt", "hello")); uids[0] != 0 {
		t.Error("found, with claims off")
	}
}

// TestTwinsOfOthers: claims that reach everybody's content do so by a proof,
// which an MD5 is not.
func TestTwinsOfOthers(t *testing.T) {
	b, _ := twinBench(t, func(c *upload.Config) { c.Instant = meta.ScopeGlobal })
	b.putSmall("bob", "bob.txt", "secret")
	b.findOut("secret")
	if uids := b.twins(owner, twin("a.txt", "secret")); uids[0] != 0 {
		t.Error("another owner's content was found")
	}
}

// TestTwinsAwaitDigests: while a digest job of the owner's is pending an MD5 that
// is not known is waited for, and what the job finds is answered.
func TestTwinsAwaitDigests(t *testing.T) {
	b, d := twinBench(t, func(c *upload.Config) { c.TwinsWait = time.Hour })
	b.putSmall(owner, "first.txt", "hello")
	type answer struct {
		uids []protocol.UID
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		uids, err := b.PutTwins(context.WithoutCancel(t.Context()), owner, []upload.Twin{twin("a.txt", "hello"), twin("b.txt", "unknown")})
		answered <- answer{uids, err}
	}()
	<-d.asked
	b.findOut("hello")
	close(d.looked)
	a := <-answered
	must(t, a.err)
	if got := known(a.uids); !slices.Equal(got, []bool{true, false}) {
		t.Errorf("uids %v", a.uids)
	}
}

// TestTwinsAwaitNothing: what is known is answered at once, and so is what is
// unknown where only others' jobs are pending.
func TestTwinsAwaitNothing(t *testing.T) {
	b, _ := twinBench(t, func(c *upload.Config) { c.TwinsWait = time.Hour })
	b.putSmall(owner, "first.txt", "hello")
	b.findOut("hello")
	b.putSmall("bob", "b.txt", "others")
	if uids := b.twins(owner, twin("a.txt", "unknown"), twin("b.txt", "hello")); !slices.Equal(known(uids), []bool{false, true}) {
		t.Errorf("uids %v", uids)
	}
	b.putSmall(owner, "c.txt", "pending")
	if uids := b.twins(owner, twin("a.txt", "hello")); uids[0] == 0 {
		t.Error("not found")
	}
}

// TestTwinsAwaitNotForEver: a job that does not come is waited for so long, and
// a caller who leaves ends the wait.
func TestTwinsAwaitNotForEver(t *testing.T) {
	b, d := twinBench(t, func(c *upload.Config) { c.TwinsWait = time.Millisecond })
	b.putSmall(owner, "first.txt", "hello")
	if uids := b.twins(owner, twin("a.txt", "hello")); uids[0] != 0 || d.woken == 0 {
		t.Errorf("uids %v, woken %d times", uids, d.woken)
	}
	b, d = twinBench(t, func(c *upload.Config) { c.TwinsWait = time.Hour })
	b.putSmall(owner, "first.txt", "hello")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-d.asked
		cancel()
	}()
	if _, err := b.PutTwins(ctx, owner, []upload.Twin{twin("a.txt", "hello")}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestTwinsNames: a refusal says which file it is about.
func TestTwinsNames(t *testing.T) {
	b, _ := twinBench(t, nil)
	_, err := b.PutTwins(t.Context(), owner, []upload.Twin{twin("a", "x"), twin("b/", "x")})
	if err == nil || !strings.Contains(err.Error(), "file 2") {
		t.Errorf("got %v", err)
	}
}
