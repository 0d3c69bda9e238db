package metatest

import (
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// limit is a quota in the order bytes, files, uploads; a negative number is no
// limit.
func limit(bytes, files, uploads int64) (q meta.Quota) {
	for i, v := range []int64{bytes, files, uploads} {
		if v >= 0 {
			*[]**int64{&q.Bytes, &q.Files, &q.Uploads}[i] = &v
		}
	}
	return q
}

// usage expects what an owner has, in the order bytes, files, uploads, and
// that all owners' records are what their files add up to.
func (e *env) usage(owner protocol.Owner, bytes, files, uploads int64) {
	e.Helper()
	got, err := e.db.Usage(e.ctx, owner)
	e.ok(err)
	e.same("usage", got, meta.Usage{Bytes: bytes, Files: files, Uploads: uploads})
	e.recount()
}

func (e *env) recount() {
	e.Helper()
	drifts, err := e.db.CheckQuotas(e.ctx)
	e.ok(err)
	if len(drifts) > 0 {
		e.Fatalf("usage is recorded wrong: %+v", drifts)
	}
}

// sized is an upload of a known size.
func (e *env) sized(size int64) meta.NewUpload {
	n := e.newUpload("x")
	n.Size = &size
	return n
}

var quotaTests = map[string]func(*env){
	"limits": func(e *env) {
		got, err := e.db.Quota(e.ctx, alice)
		e.ok(err)
		e.same("none at first", got, meta.Quota{})
		e.ok(e.db.SetQuota(e.ctx, alice, limit(10, 0, -1)))
		got, err = e.db.Quota(e.ctx, alice)
		e.ok(err)
		e.same("set", []any{*got.Bytes, *got.Files, got.Uploads == nil}, []any{10, 0, true})
		e.ok(e.db.SetQuota(e.ctx, alice, meta.Quota{}))
		got, err = e.db.Quota(e.ctx, alice)
		e.ok(err)
		e.same("set to none", got, meta.Quota{})
		minus := int64(-1)
		e.kind(e.db.SetQuota(e.ctx, alice, meta.Quota{Files: &minus}), protocol.KindBadRequest)
	},
	"what is reserved and released": func(e *env) {
		e.usage(alice, 0, 0, 0)
		known := e.begin(e.sized(7))
		e.usage(alice, 7, 1, 1)
		unknown := e.begin(e.newUpload("y"))
		e.usage(alice, 7, 2, 2)
		ext := func(u meta.Upload, size int64) meta.Commit {
			return e.commitOf(u, e.record(u.UID, part(1, u.Blob, 0, size)), 1, size, meta.Extent{Blob: u.Blob, Length: size})
		}
		_, err := e.db.Commit(e.ctx, ext(known, 7))
		e.ok(err)
		e.usage(alice, 7, 2, 1)
		_, err = e.db.Commit(e.ctx, ext(unknown, 5))
		e.ok(err)
		e.usage(alice, 12, 2, 0)
		f, err := e.db.PutFile(e.ctx, e.oneShot("z", 1, 3), nil)
		e.ok(err)
		e.usage(alice, 15, 3, 0)
		e.usage(bob, 0, 0, 0)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		e.kind(e.db.DeleteFile(e.ctx, alice, f.UID), protocol.KindNotFound)
		e.usage(alice, 12, 2, 0)
		aborted := e.begin(e.sized(100))
		e.usage(alice, 112, 3, 1)
		e.ok(e.db.AbortUpload(e.ctx, alice, aborted.UID))
		e.usage(alice, 12, 2, 0)
		e.begin(e.sized(9))
		e.clock.Add(time.Hour)
		_, err = e.db.AbandonUploads(e.ctx, e.clock.Now(), 10)
		e.ok(err)
		e.usage(alice, 12, 2, 0)
	},
	"a claim counts in full": func(e *env) {
		_, f := e.put("x", 1, claimSize)
		u := e.maybe(alice, "y")
		e.usage(alice, 2*claimSize, 2, 1)
		_, c, err := e.db.Content(e.ctx, alice, f.UID)
		e.ok(err)
		_, err = e.claim(alice, u.UID, c, 7, meta.ScopeOwner)
		e.ok(err)
		e.usage(alice, 2*claimSize, 2, 0)
	},
	"what is too much is not recorded": func(e *env) {
		for _, w := range []struct {
			quota meta.Quota
			what  string
		}{{limit(9, -1, -1), "9 bytes"}, {limit(-1, 1, -1), "1 files"}, {limit(-1, -1, 1), "1 open uploads"}} {
			e.ok(e.db.SetQuota(e.ctx, alice, w.quota))
			u := e.begin(e.sized(5))
			e.usage(alice, 5, 1, 1)
			more := e.sized(5)
			_, err := e.db.BeginUpload(e.ctx, more, &meta.Idempotency{Key: "k", UID: more.UID})
			e.kind(err, protocol.KindQuotaExceeded)
			if !strings.Contains(err.Error(), w.what) || !strings.Contains(err.Error(), "more were wanted") {
				e.Fatalf("the error does not say which limit: %v", err)
			}
			_, err = e.db.Upload(e.ctx, alice, more.UID)
			e.kind(err, protocol.KindNotFound)
			kept, err := e.db.Answer(e.ctx, alice, "k")
			e.ok(err)
			e.same("no answer is kept", kept == nil, true)
			e.usage(alice, 5, 1, 1)
			other := e.sized(50)
			other.Owner = bob
			e.ok(e.db.AbortUpload(e.ctx, bob, e.begin(other).UID))
			if w.quota.Uploads == nil {
				_, err := e.db.PutFile(e.ctx, e.oneShot("z", 1, 5), nil)
				e.kind(err, protocol.KindQuotaExceeded)
			}
			e.ok(e.db.AbortUpload(e.ctx, alice, u.UID))
			e.usage(alice, 0, 0, 0)
		}
	},
	"the last byte fits": func(e *env) {
		e.ok(e.db.SetQuota(e.ctx, alice, limit(10, 2, 1)))
		e.begin(e.sized(5))
		_, err := e.db.PutFile(e.ctx, e.oneShot("z", 1, 5), nil)
		e.ok(err)
		e.usage(alice, 10, 2, 1)
	},
	"an unknown size is charged as it grows": func(e *env) {
		e.ok(e.db.SetQuota(e.ctx, alice, limit(20, -1, -1)))
		u := e.begin(e.newUpload("x"))
		reserve := func(size int64) error { return e.db.ReserveUpload(e.ctx, alice, u.UID, size) }
		e.ok(reserve(8))
		e.usage(alice, 8, 1, 1)
		e.ok(reserve(8))
		e.ok(reserve(5))
		e.usage(alice, 8, 1, 1)
		e.ok(reserve(20))
		e.kind(reserve(21), protocol.KindQuotaExceeded)
		e.usage(alice, 20, 1, 1)
		u, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("charged", u.Reserved, 20)
		e.kind(e.db.ReserveUpload(e.ctx, bob, u.UID, 1), protocol.KindNotFound)

		known := e.sized(0)
		known = e.begin(known).NewUpload
		e.ok(e.db.ReserveUpload(e.ctx, alice, known.UID, 100))
		e.usage(alice, 20, 2, 2)

		gen := e.record(u.UID, part(1, u.Blob, 0, 7))
		_, err = e.db.Commit(e.ctx, e.commitOf(u, gen, 1, 7, meta.Extent{Blob: u.Blob, Length: 7}))
		e.ok(err)
		e.usage(alice, 7, 2, 1)
		e.kind(reserve(21), protocol.KindCommitted)

		other := e.begin(e.newUpload("y"))
		e.ok(e.db.ReserveUpload(e.ctx, alice, other.UID, 13))
		e.ok(e.db.AbortUpload(e.ctx, alice, other.UID))
		e.usage(alice, 7, 2, 1)
		e.kind(e.db.ReserveUpload(e.ctx, alice, other.UID, 14), protocol.KindNotFound)
	},
	"a part that nobody reserved for is charged when it is recorded": func(e *env) {
		e.ok(e.db.SetQuota(e.ctx, alice, limit(9, -1, -1)))
		u := e.begin(e.newUpload("x"))
		_, err := e.db.RecordPart(e.ctx, alice, u.UID, part(1, u.Blob, 0, 10))
		e.kind(err, protocol.KindQuotaExceeded)
		parts, gen, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("parts and gen", []int64{int64(len(parts)), gen}, []int64{0, 0})
		e.blobState(u.Blob, meta.BlobWriting)
		e.usage(alice, 0, 1, 1)
		e.ok(e.db.SetQuota(e.ctx, alice, limit(10, -1, -1)))
		gen = e.record(u.UID, part(1, u.Blob, 0, 10))
		e.usage(alice, 10, 1, 1)
		_, err = e.db.Commit(e.ctx, e.commitOf(u, gen, 1, 10, meta.Extent{Blob: u.Blob, Length: 10}))
		e.ok(err)
		e.usage(alice, 10, 1, 0)
	},
	"a lower limit takes nothing away": func(e *env) {
		u := e.begin(e.sized(5))
		e.ok(e.db.SetQuota(e.ctx, alice, limit(1, 0, 0)))
		gen := e.record(u.UID, part(1, u.Blob, 0, 5))
		f, err := e.db.Commit(e.ctx, e.commitOf(u, gen, 1, 5, meta.Extent{Blob: u.Blob, Length: 5}))
		e.ok(err)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		e.usage(alice, 0, 0, 0)
	},
}
