package upload_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

func uploadOf(t testing.TB, r once.Reply) (u protocol.Upload) {
	t.Helper()
	must(t, json.Unmarshal(r.Body, &u))
	if u.UID != r.UID {
		t.Errorf("the reply is for %s and speaks of %s", r.UID, u.UID)
	}
	return u
}

func TestBeginRefuses(t *testing.T) {
	b := newEnded(t, setup{change: func(c *upload.Config) { c.MaxSize = 1 << 40 }})
	past, media, bad := protocol.TimeOf(b.clock.Now()), "text/plain", "not a type"
	for name, c := range map[string]struct {
		req  protocol.BeginUpload
		want protocol.Kind
	}{
		"no name":         {protocol.BeginUpload{}, protocol.KindBadName},
		"a name upwards":  {protocol.BeginUpload{Name: "a/../b"}, protocol.KindBadName},
		"a name in NFD":   {protocol.BeginUpload{Name: "e\u0301"}, protocol.KindBadName},
		"a media type":    {protocol.BeginUpload{Name: "a", MediaType: &bad}, protocol.KindBadRequest},
		"a size below 0":  {protocol.BeginUpload{Name: "a", Size: ptr(int64(-1))}, protocol.KindBadRequest},
		"beyond max_size": {protocol.BeginUpload{Name: "a", Size: ptr(int64(1<<40 + 1))}, protocol.KindTooLarge},
		"beyond any size": {protocol.BeginUpload{Name: "a", Size: ptr(int64(protocol.MaxSize + 1))}, protocol.KindTooLarge},
		"expired":         {protocol.BeginUpload{Name: "a", ExpiresAt: &past}, protocol.KindBadRequest},
		"a key":           {protocol.BeginUpload{Name: "a", Meta: map[string]string{"": "v"}}, protocol.KindBadRequest},
		"all of it":       {protocol.BeginUpload{Name: strings.Repeat("n", 255), Size: ptr(int64(1 << 40)), MediaType: &media}, ""},
		"a wrong hint":    {protocol.BeginUpload{Name: "a", SizeHint: ptr(int64(-1))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.Begin(t.Context(), owner, c.req, nil)
			wants(t, err, c.want)
		})
	}
	list, err := b.Uploads(t.Context(), owner, 0, "")
	must(t, err)
	if len(list.Uploads) != 2 {
		t.Errorf("%d uploads were made, want 2", len(list.Uploads))
	}
}

// TestBegun: what begin answers is what GET answers.
func TestBegun(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		expires := protocol.TimeOf(b.clock.Now().Add(time.Hour))
		media := "text/plain"
		for _, req := range []protocol.BeginUpload{
			{Name: "a", Size: ptr(int64(100)), MediaType: &media, Meta: map[string]string{"k": "v"}, ExpiresAt: &expires},
			{Name: "b"},
			{Name: "c", SizeHint: ptr(int64(200_000 << 20))},
			{Name: "d", Size: ptr(int64(0)), Meta: map[string]string{}},
		} {
			r, err := b.Begin(t.Context(), owner, req, nil)
			must(t, err)
			u, err := b.Upload(t.Context(), owner, r.UID)
			must(t, err)
			got, err := json.Marshal(u)
			must(t, err)
			if !r.Created || string(got) != string(r.Body) {
				t.Errorf("begin answered %s, then it is %s", r.Body, got)
			}
		}
	})
}

// TestResume: the newest open upload of this owner, name, size and fingerprint
// is found, once nobody has sent to it for 5 s.
func TestResume(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		size, fp := int64(10), protocol.Fingerprint{1}
		req := protocol.BeginUpload{Name: "a", Size: &size, Fingerprint: &fp, Resume: true}
		again := func() protocol.Upload {
			t.Helper()
			r, err := b.Begin(t.Context(), owner, req, nil)
			must(t, err)
			return uploadOf(t, r)
		}
		first := again()
		if u := again(); u.UID != first.UID {
			t.Error("an upload to which nothing was ever sent was not found at once")
		}
		b.put(first.UID, 1, random(1, 10))
		second := again()
		if second.UID == first.UID {
			t.Error("found an upload that was sent to this moment")
		}
		b.clock.add(busyTime)
		if u := again(); u.UID != second.UID {
			t.Errorf("found %s, not the newest, %s", u.UID, second.UID)
		}
		must(t, b.Abort(t.Context(), owner, second.UID))
		if u := again(); u.UID != first.UID || len(u.Parts) != 1 {
			t.Errorf("found %+v, want %s with its part", u, first.UID)
		}
		for name, other := range map[string]protocol.BeginUpload{
			"not asked":           {Name: "a", Size: &size, Fingerprint: &fp},
			"another name":        {Name: "b", Size: &size, Fingerprint: &fp, Resume: true},
			"another size":        {Name: "a", Size: ptr(int64(11)), Fingerprint: &fp, Resume: true},
			"another fingerprint": {Name: "a", Size: &size, Fingerprint: &protocol.Fingerprint{2}, Resume: true},
			"unknown size":        {Name: "a", Fingerprint: &fp, Resume: true},
			"unknown fingerprint": {Name: "a", Size: &size, Resume: true},
		} {
			r, err := b.Begin(t.Context(), owner, other, nil)
			must(t, err)
			if !r.Created || r.UID == first.UID {
				t.Errorf("%s: found an upload", name)
			}
			must(t, b.Abort(t.Context(), owner, r.UID))
		}
		r, err := b.Begin(t.Context(), "another", req, nil)
		must(t, err)
		if !r.Created {
			t.Error("found another owner's upload")
		}
		b.commit(first.UID, protocol.CommitUpload{})
		if u := again(); u.UID == first.UID {
			t.Error("found a committed upload")
		}
	})
}

// TestResumeBusyAfterRestart: a sender does not notice that the daemon was
// started anew, so that what was recorded counts.
func TestResumeBusyAfterRestart(t *testing.T) {
	b := newEnded(t, setup{})
	req := protocol.BeginUpload{Name: "a", Size: ptr(int64(10)), Fingerprint: &protocol.Fingerprint{}, Resume: true}
	uid := b.begin(req)
	b.put(uid, 1, random(1, 10))
	b.restart("boot 1")
	if b.begin(req) == uid {
		t.Error("found an upload that was sent to this moment")
	}
	b.clock.add(busyTime)
	if b.begin(req) == uid {
		t.Error("the newer of two was not found")
	}
}

func TestUploadsPages(t *testing.T) {
	b := newEnded(t, setup{})
	var want []protocol.UID
	for range 5 {
		want = append([]protocol.UID{b.begin(protocol.BeginUpload{})}, want...)
	}
	var got []protocol.UID
	for cursor := ""; ; {
		page, err := b.Uploads(t.Context(), owner, 2, cursor)
		must(t, err)
		for _, u := range page.Uploads {
			got = append(got, u.UID)
		}
		if page.Next == nil {
			break
		}
		cursor = *page.Next
	}
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("listed %v, want %v", got, want)
		}
	}
	for _, c := range []struct {
		limit  int
		cursor string
		want   protocol.Kind
	}{{-1, "", protocol.KindBadRequest}, {1001, "", protocol.KindBadRequest}, {1000, "", ""}, {0, "?", protocol.KindBadRequest}, {0, "MA", protocol.KindBadRequest}} {
		_, err := b.Uploads(t.Context(), owner, c.limit, c.cursor)
		wants(t, err, c.want)
	}
	page, err := b.Uploads(t.Context(), "another", 0, "")
	must(t, err)
	if len(page.Uploads) != 0 {
		t.Error("listed another owner's uploads")
	}
}
