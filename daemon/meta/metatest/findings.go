package metatest

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var findingsTests = map[string]func(*env){
	"a file is due from its commit until its findings are recorded": func(e *env) {
		_, a := e.put("a", 1, 2*protocol.BlockSize)
		e.clock.Add(time.Second)
		b := e.putShot("b", 2, 5)
		e.sees(a, "", "", "")
		e.sees(b, "02", "", "")
		due := e.undigested(10)
		e.same("due, oldest first", []any{due[0].UID, due[1].UID, len(due)}, []any{a.UID, b.UID, 2})
		e.same("as it is", []any{due[0].Size, due[0].State, due[0].DigestKnown, due[0].SumsKnown}, []any{a.Size, meta.ContentLive, true, false})
		e.same("no more than asked for", len(e.undigested(1)), 1)
		e.ok(e.db.RecordFindings(e.ctx, []meta.FoundOut{{Content: due[0].Content, Findings: findings(7)}}, e.as(due[:1], "image/png")))
		e.sees(a, "07", "07", "image/png")
		e.same("still due", e.undigested(10)[0].UID, b.UID)
		e.ok(e.db.RecordFindings(e.ctx, []meta.FoundOut{{Content: due[1].Content, Findings: findings(8)}}, e.as(due[1:], "")))
		e.sees(b, "08", "08", "")
		e.same("due", len(e.undigested(10)), 0)
	},
	"what is due of some stores": func(e *env) {
		a := e.putShot("a", 1, 5)
		n := e.oneShot("b", 3, 5)
		n.Blob.Store = "disk@b"
		_, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		in := func(stores []string, want ...protocol.UID) {
			e.Helper()
			due, err := e.db.DueDigestsIn(e.ctx, stores, 10)
			e.ok(err)
			var got []protocol.UID
			for _, d := range due {
				got = append(got, d.UID)
			}
			slices.Sort(got)
			e.same(fmt.Sprint("in ", stores), got, want)
		}
		in([]string{"disk"}, a.UID)
		in([]string{"disk@b"}, n.UID)
		in([]string{"minio", "disk@b", "disk"}, a.UID, n.UID)
		in(nil, a.UID, n.UID)
		in([]string{})
	},
	"of a content shared with others each file's own job tells": func(e *env) {
		_, a := e.put("a", 1, 2*protocol.BlockSize)
		due := e.undigested(10)
		e.ok(e.db.RecordFindings(e.ctx, []meta.FoundOut{{Content: due[0].Content, Findings: findings(7)}}, e.as(due, "image/png")))
		e.clock.Add(time.Second)
		_, b := e.put("b", 1, 2*protocol.BlockSize)
		e.sees(a, "07", "07", "image/png")
		e.sees(b, "", "", "")
		list, err := e.db.Files(e.ctx, alice, meta.FileQuery{Limit: 1, Name: "b"})
		e.ok(err)
		e.same("listed", list[0].MD5 == nil && list[0].SHA256 == nil, true)
		due = e.undigested(10)
		e.same("known", []any{len(due), due[0].UID, due[0].SumsKnown, due[0].MediaType}, []any{1, b.UID, true, "image/png"})
		e.ok(e.db.RecordFindings(e.ctx, nil, due))
		e.sees(b, "07", "07", "image/png")
	},
	"a type that was given stays": func(e *env) {
		n := e.oneShot("a", 1, 5)
		given := "text/x-mine"
		n.MediaType = &given
		f, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		due := e.undigested(10)
		e.ok(e.db.RecordFindings(e.ctx, []meta.FoundOut{{Content: due[0].Content, Findings: findings(7)}}, e.as(due, "image/png")))
		e.sees(f, "07", "07", given)
		var none *string
		_, err = e.db.PatchFile(e.ctx, alice, f.UID, meta.FilePatch{MediaType: &none})
		e.ok(err)
		e.sees(f, "07", "07", "")
		e.same("due", len(e.undigested(10)), 0)
	},
	"of nothing all is known at once": func(e *env) {
		n := e.oneShot("a", 1, 0)
		n.Blob = nil
		f, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		none := md5.Sum(nil)
		e.same("sums", []any{*f.SHA256, *f.MD5}, []any{"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", hex.EncodeToString(none[:])})
		e.same("due", len(e.undigested(10)), 0)
	},
	"what is put off comes again, or when it is wanted": func(e *env) {
		a, b, c := e.putShot("a", 1, 5), e.putShot("b", 2, 5), e.putShot("c", 3, 5)
		e.ok(e.db.PutOffDigests(e.ctx, []protocol.UID{b.UID, a.UID, 77}, time.Minute))
		e.ok(e.db.LeaveDigests(e.ctx, []protocol.UID{c.UID}, nil))
		e.same("due", len(e.undigested(10)), 0)
		e.clock.Add(time.Minute - time.Millisecond)
		e.same("due a little earlier", len(e.undigested(10)), 0)
		e.clock.Add(time.Millisecond)
		e.same("due", len(e.undigested(10)), 2)
		e.clock.Add(100 * 365 * 24 * time.Hour)
		e.same("due a lifetime later", len(e.undigested(10)), 2)
		n, err := e.db.RestartTimers(e.ctx, 100)
		e.ok(err)
		e.same("what is put off for good waits for no timer", n, 0)
		n, err = e.db.WantDigests(e.ctx, "disk", 10)
		e.ok(err)
		e.same("wanted", []int{n, len(e.undigested(10))}, []int{1, 3})
		n, err = e.db.WantDigests(e.ctx, "disk", 10)
		e.ok(err)
		e.same("wanted again", n, 0)
		due := e.undigested(10)
		e.ok(e.db.RecordFindings(e.ctx, nil, due))
		e.ok(e.db.PutOffDigests(e.ctx, []protocol.UID{a.UID}, time.Minute))
		e.clock.Add(time.Minute)
		e.same("what is done is not put off", len(e.undigested(10)), 0)
	},
	"a clock that was ahead leaves nothing waiting for it": func(e *env) {
		e.clock.Add(5 * time.Hour)
		f := e.putShot("a", 1, 5)
		e.clock.Add(-5 * time.Hour)
		e.same("due", len(e.undigested(10)), 0)
		_, err := e.db.RestartTimers(e.ctx, 100)
		e.ok(err)
		e.same("due", e.undigested(10)[0].UID, f.UID)
	},
	"the size of an image is that of the file whose own job found it": func(e *env) {
		size := func(owner protocol.Owner, uid protocol.UID) string {
			w, h, err := e.db.ImageSize(e.ctx, owner, uid)
			if protocol.KindOf(err) == protocol.KindNotFound {
				return "not found"
			}
			e.ok(err)
			return fmt.Sprintf("%dx%d", w, h)
		}
		a := e.putShot("a", 1, 5)
		e.same("before", size(alice, a.UID), "0x0")
		due := e.undigested(10)
		e.ok(e.db.RecordFindings(e.ctx, []meta.FoundOut{{Content: due[0].Content, Findings: findings(7)}}, due))
		b := e.putShot("b", 1, 5)
		c := e.putShot("c", 2, 5)
		due = e.undigested(10)
		e.ok(e.db.RecordFindings(e.ctx, []meta.FoundOut{{Content: due[1].Content, Findings: meta.Findings{Width: 3}}}, due[1:]))
		e.same("sizes", []string{size(alice, a.UID), size(alice, b.UID), size(alice, c.UID), size(bob, a.UID), size(alice, 77)},
			[]string{"7x14", "0x0", "0x0", "not found", "not found"})
	},
	"findings come too late": func(e *env) {
		a, b := e.putShot("a", 1, 5), e.putShot("b", 2, 5)
		due := e.undigested(10)
		found := []meta.FoundOut{{Content: due[1].Content, Findings: findings(8)}, {Content: due[0].Content, Findings: findings(7)}, {Content: 7777, Findings: findings(9)}}
		e.ok(e.db.DeleteFile(e.ctx, alice, a.UID))
		e.same("deleted, not due", len(e.undigested(10)), 1)
		e.ok(e.db.RecordFindings(e.ctx, found, append(due, meta.DigestDue{UID: 77, Content: 7777})))
		_, err := e.db.File(e.ctx, alice, a.UID)
		e.kind(err, protocol.KindNotFound)
		e.sees(b, "08", "08", "")
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"a file that points elsewhere by now is due for that": func(e *env) {
		a := e.putShot("a", 1, 5)
		due := e.undigested(10)
		due[0].Content += 7777
		e.ok(e.db.RecordFindings(e.ctx, nil, due))
		e.same("due", e.undigested(10)[0].UID, a.UID)
	},
	"in which stores digests are left": func(e *env) {
		stores := func(want ...string) {
			e.Helper()
			got, err := e.db.DigestStores(e.ctx)
			e.ok(err)
			e.same("stores", got, want)
		}
		want := func(store string, limit, n int) {
			e.Helper()
			got, err := e.db.WantDigests(e.ctx, store, limit)
			e.ok(err)
			e.same("wanted", got, n)
		}
		stores()
		want("ali", 10, 0)
		want("disk", 10, 0)
		stores("ali", "disk")
		a, b, c := e.putShot("a", 1, 5), e.putShot("b", 2, 5), e.putShot("c", 3, 5)
		e.ok(e.db.LeaveDigests(e.ctx, []protocol.UID{c.UID, b.UID, a.UID, 77}, []string{"ali"}))
		e.same("due", len(e.undigested(10)), 0)
		stores("ali")
		want("ali", 10, 0)
		e.same("due", len(e.undigested(10)), 0)
		want("disk", 2, 2)
		stores("ali")
		want("disk", 2, 1)
		stores("ali", "disk")
		e.same("due", len(e.undigested(10)), 3)
		e.ok(e.db.LeaveDigests(e.ctx, nil, nil))
		// Its bytes were moved meanwhile to where they are read.
		e.ok(e.db.LeaveDigests(e.ctx, []protocol.UID{a.UID}, []string{"disk"}))
		stores("ali", "disk")
		e.same("due", len(e.undigested(10)), 3)
	},
}

// putShot is a small file of alice's that is put.
func (e *env) putShot(name string, d byte, size int64) protocol.File {
	e.Helper()
	f, err := e.db.PutFile(e.ctx, e.oneShot(name, d, size), nil)
	e.ok(err)
	return f
}

func (e *env) undigested(limit int) []meta.DigestDue {
	e.Helper()
	list, err := e.db.DueDigests(e.ctx, limit)
	e.ok(err)
	return list
}

// as are files that are due as a job gives them back whose content is of a
// type.
func (e *env) as(due []meta.DigestDue, mediaType string) []meta.DigestDue {
	list := append([]meta.DigestDue(nil), due...)
	for i := range list {
		list[i].MediaType = mediaType
	}
	return list
}

// sees expects the first byte of a file's sums, and its type, "" for none.
func (e *env) sees(f protocol.File, sha, md, mediaType string) {
	e.Helper()
	f, err := e.db.File(e.ctx, alice, f.UID)
	e.ok(err)
	text := func(s *string, n int) string {
		if s == nil {
			return ""
		}
		return (*s)[:min(n, len(*s))]
	}
	e.same("sums and type", fmt.Sprint([]string{text(f.SHA256, 2), text(f.MD5, 2), text(f.MediaType, 99)}), fmt.Sprint([]string{sha, md, mediaType}))
}
