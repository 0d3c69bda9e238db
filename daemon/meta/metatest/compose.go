package metatest

import (
	"fmt"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var composeTests = map[string]func(*env){
	"a commit has many blobs joined, where it says so": func(e *env) {
		one, two := meta.Extent{Length: 5}, meta.Extent{Offset: 5, Length: 5}
		for _, tt := range []struct {
			compose, unknown, split bool
			want                    bool
		}{
			{compose: true, split: true, want: true},
			{compose: true},
			{split: true},
			{compose: true, split: true, unknown: true},
		} {
			u := e.begin(e.newUpload("x"))
			one.Blob, two.Blob = u.Blob, u.Blob
			if tt.split {
				two.Blob, two.Offset = e.newBlobFor(u, 5), 0
			}
			e.record(u.UID, part(1, one.Blob, one.Offset, 5))
			gen := e.record(u.UID, part(2, two.Blob, two.Offset, 5))
			c := e.commitOf(u, gen, byte(u.UID), 10, one, two)
			if c.Compose = tt.compose; tt.unknown {
				c.Digest, c.Fingerprint, c.Blocks = nil, nil, nil
			}
			_, err := e.db.Commit(e.ctx, c)
			e.ok(err)
			_, content := e.contentOf(u.UID)
			e.same(fmt.Sprintf("%+v", tt), e.toCompose(content.ID), tt.want)
		}
	},
	"once it is known what they are": func(e *env) {
		u := e.begin(e.newUpload("x"))
		own := e.newBlobFor(u, 7)
		e.record(u.UID, part(1, u.Blob, 0, 7))
		gen := e.record(u.UID, part(2, own, 7, 7))
		c := e.commitOf(u, gen, 0, 14, meta.Extent{Blob: u.Blob, Length: 7}, meta.Extent{Blob: own, Length: 7})
		c.Digest, c.Fingerprint, c.Blocks = nil, nil, nil
		_, err := e.db.Commit(e.ctx, c)
		e.ok(err)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(u.UID), 5)))
		_, content := e.contentOf(u.UID)
		e.same("joined then", e.toCompose(content.ID), true)
		single := e.commitUnknown("y", 7)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(single.UID), 6)))
		_, content = e.contentOf(single.UID)
		e.same("one blob needs no job", e.toCompose(content.ID), false)
	},
	"a content by its id": func(e *env) {
		u, f := e.put("x", 1, 5)
		_, c := e.contentOf(u.UID)
		got, err := e.db.ContentOf(e.ctx, c.ID)
		e.ok(err)
		e.same("content", []any{got.ID, got.Size, got.State, got.Gen, *got.Digest, extentsText(got.Extents)}, []any{c.ID, 5, meta.ContentLive, c.Gen, protocol.Digest{1}, extentsText(c.Extents)})
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		_, err = e.db.ContentOf(e.ctx, c.ID)
		e.kind(err, protocol.KindNotFound)
	},
}

// toCompose reports whether a job waits that joins the content's blobs.
func (e *env) toCompose(id meta.ContentID) bool {
	e.Helper()
	jobs, err := e.db.Jobs(e.ctx, meta.AnyOwner, meta.JobQuery{Limit: 100, Kind: protocol.JobCompose})
	e.ok(err)
	for _, j := range jobs {
		if j.Subject == fmt.Sprintf("content/%d", id) && string(j.Args) == fmt.Sprintf(`{"content":%d}`, id) {
			return true
		}
	}
	return false
}
