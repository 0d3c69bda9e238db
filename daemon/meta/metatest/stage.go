package metatest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// stage is a database with all that the actions are about: a file, and an open
// upload of the same bytes, which could be committed as well as claimed. Its
// part lies in a blob that is offered to the sweep.
type stage struct {
	*env
	watched Watched
	actors  []*actor
	wg      sync.WaitGroup

	file    protocol.File
	content meta.Content
	upload  meta.Upload
	gen     int64
	// own holds the upload's part, spare is being written for it.
	own, spare meta.BlobID
	// shot is a file that is not put yet.
	shot meta.NewFile
	// since is the number of the last event before the story.
	since int64
	// looked is what a digest job was told of the file, unknown of one of the
	// same bytes whose digest is not known.
	looked, unknown meta.DigestDue
	// adoptions are two files to be made on the file's content. known says that
	// the file's digest job has run, before which its owner has none.
	adoptions []meta.Adoption
	known     bool
	// mover is a job that has the file's content be in target, which it writes.
	mover  meta.LeasedJob
	target meta.BlobID
	jobs   stagedJobs
	kept   *kept
	// shared has the blob of the file be what is offered to the sweep, and not
	// the upload's: it is in use, and another content shared it.
	shared bool
}

// kept is how a stage was when it had been set, where the database can be
// brought back to that.
type kept struct {
	back func()
	now  time.Time
	uids protocol.UID
	keys int
}

func newStage(t testing.TB, found rapid.TB, open OpenWatched) *stage {
	s := &stage{env: &env{TB: found, ctx: t.Context(), clock: NewClock(), uids: 1000}}
	s.watched = open(t, s.clock.Now, atPoint)
	s.db = s.watched.DB
	return s
}

// end lets everybody go, and closes the database.
func (s *stage) end() {
	for _, a := range s.actors {
		a.release()
	}
	s.wg.Wait()
	s.ok(s.db.Close())
}

// clear ends all there is, which must leave nothing, so that the next story
// begins as the one before did.
func (s *stage) clear() {
	s.ok(s.db.CheckDatabase(s.ctx))
	s.clock.Add(2 * time.Hour)
	_, err := s.db.AbandonUploads(s.ctx, s.clock.Now(), 100)
	s.ok(err)
	_, err = s.db.ExpireFiles(s.ctx, s.clock.Now(), 100)
	s.ok(err)
	for _, owner := range []protocol.Owner{alice, bob} {
		files, err := s.db.Files(s.ctx, owner, meta.FileQuery{Limit: 100})
		s.ok(err)
		for _, f := range files {
			s.ok(s.db.DeleteFile(s.ctx, owner, f.UID))
		}
	}
	s.clearJobs()
	s.sweepBy(100)
	list, err := s.db.Tombstones(s.ctx, "", s.clock.Now(), nil, 100)
	s.ok(err)
	s.ok(s.db.RemoveTombstones(s.ctx, idsOf(list)))
	_, err = s.db.Prune(s.ctx, s.clock.Now(), 100)
	s.ok(err)
	s.same("blobs that are left", s.blobCount(), 0)
	s.clock.Add(-2*time.Hour - time.Second)
	s.uids, s.keys, s.actors = 1000, 0, nil
}

// play runs a story on a stage that is ready, and ends all that there is then.
// Where it fails the stage stays as it is, with whoever is held.
func (s *stage) play(story func()) {
	s.ready()
	story()
	s.clear()
}

// replay is play of a story that was played but for the point at which somebody
// is held, and has to come out as that did: a stage that can be brought back is
// not cleared once more.
func (s *stage) replay(story func()) {
	s.ready()
	story()
	if s.kept == nil {
		s.clear()
	}
}

// ready has the stage be set, as if nothing had been played.
func (s *stage) ready() {
	if k := s.kept; k != nil {
		k.back()
		s.clock.Add(k.now.Sub(s.clock.Now()))
		s.uids, s.keys, s.actors = k.uids, k.keys, nil
		return
	}
	s.set()
	if s.watched.Keep != nil {
		s.kept = &kept{s.watched.Keep(), s.clock.Now(), s.uids, s.keys}
	}
}

// set makes what the actions are about.
func (s *stage) set() {
	put := func(name string) protocol.File {
		f, err := s.db.PutFile(s.ctx, s.oneShot(name, 1, claimSize), nil)
		s.ok(err)
		return f
	}
	gone := put("gone")
	s.file = put("file") // offers the blob of the first
	s.ok(s.db.DeleteFile(s.ctx, alice, gone.UID))
	// Content would remember what it read.
	s.ok(s.db.EachContent(s.ctx, func(c meta.ContentRefs) error { s.content = c.Content; return nil }))

	n := s.newUpload("upload")
	size, fp, expires := int64(claimSize), protocol.Fingerprint{1}, s.clock.Now().Add(time.Hour)
	n.Size, n.Fingerprint, n.Maybe, n.ExpiresAt = &size, &fp, true, &expires
	s.upload = s.begin(n)
	s.own, s.spare = s.newBlobOf(s.upload), s.newBlobOf(s.upload)
	s.gen = s.record(s.upload.UID, part(1, s.own, 0, claimSize))
	if s.shared {
		s.offerUsed(s.content.Extents[0].Blob)
	} else {
		s.ok(s.db.DropPart(s.ctx, s.upload.UID, 1, s.gen))
		s.gen = s.record(s.upload.UID, part(1, s.own, 0, claimSize))
	}
	s.shot = s.oneShot("shot", 1, claimSize)
	s.looked, s.unknown = s.dueOf(s.file.UID), s.dueOf(s.commitUnknown("unknown", claimSize).UID)
	s.adoptions = []meta.Adoption{s.adoption(s.content.ID, 1), s.adoption(s.content.ID, 1)}
	if s.known {
		s.ok(s.db.RecordFindings(s.ctx, []meta.FoundOut{{Content: s.looked.Content, Findings: findings(1)}}, []meta.DigestDue{s.looked}))
	}
	var job context.Context
	job, s.mover = s.env.mover()
	s.target = s.env.target(job, claimSize)
	s.setJobs()
	s.since = s.lastEvent()
	s.clock.Add(time.Second)
}

// offerUsed has the sweep know a blob that is in use, and none but that: a
// content that shared it lies elsewhere since.
func (s *stage) offerUsed(blob meta.BlobID) {
	u := s.begin(s.newUpload("sharer"))
	gen := s.record(u.UID, part(1, blob, 0, claimSize))
	_, err := s.db.Commit(s.ctx, s.commitOf(u, gen, 3, claimSize, meta.Extent{Blob: blob, Length: claimSize}))
	s.ok(err)
	_, err = s.db.DoomOffered(s.ctx, 10)
	s.ok(err)
	f, err := s.db.PutFile(s.ctx, s.oneShot("wins over the sharer", 3, claimSize), nil)
	s.ok(err)
	for _, uid := range []protocol.UID{u.UID, f.UID} {
		s.ok(s.db.DeleteFile(s.ctx, alice, uid))
	}
}

func (s *stage) newBlobOf(u meta.Upload) meta.BlobID {
	id, err := s.db.AddBlob(s.ctx, s.newBlob(claimSize), u.UID)
	s.ok(err)
	return id
}

// start begins an action, which is held at a point, 0 for none.
func (s *stage) start(a action, holdAt int) *actor {
	x := &actor{action: a, holdAt: holdAt, held: make(chan struct{}), released: make(chan struct{}), ended: make(chan struct{})}
	s.actors = append(s.actors, x)
	s.wg.Go(func() {
		defer close(x.ended)
		x.answer = answerOf(a.run(context.WithValue(s.ctx, actorKey{}, x), s))
	})
	return x
}

// await returns when the actor has ended, is held, or waits for another.
func (s *stage) await(x *actor) {
	for !happened(x.ended) && !happened(x.held) && s.watched.Waiting() == 0 {
		time.Sleep(20 * time.Microsecond)
	}
}

// whole runs an action from its beginning to its end.
func (s *stage) whole(a action) string {
	x := s.start(a, 0)
	<-x.ended
	return x.answer
}

// snapshot is all that the database shows, without numbers of rows. What must
// hold of it at any time is checked.
func (s *stage) snapshot() string {
	var text strings.Builder
	say := func(f string, args ...any) { fmt.Fprintf(&text, f+"\n", args...) }
	s.ok(s.db.EachBlob(s.ctx, func(b meta.BlobRefs) error {
		s.soundBlob(b, false)
		say("blob %s: %s size=%d extents=%d parts=%d upload=%d offered=%v doomed=%v uids=%v", b.Key, b.State, b.Size, b.Extents, b.Parts,
			b.OpenUpload, b.Offered, b.DoomedAt, b.UIDs)
		return nil
	}))
	s.ok(s.db.EachContent(s.ctx, func(c meta.ContentRefs) error {
		digest := "unknown"
		if c.Digest != nil {
			digest = fmt.Sprintf("%x", c.Digest[:1])
		}
		say("content %s: %s size=%d gen=%d files=%v blocks=%d extents=%s", digest, c.State, c.Size, c.Gen, c.Files, c.BlockRows, extentsText(c.Extents))
		return nil
	}))
	for uid := protocol.UID(1001); uid <= s.uids; uid++ {
		say("upload %d: %s", uid, answerOf(viewUpload(s.ctx, s, uid)))
		say("parts %d: %s", uid, answerOf(viewParts(s.ctx, s, uid)))
		say("file %d: %s", uid, answerOf(viewContent(s.ctx, s, uid)))
	}
	for _, owner := range []protocol.Owner{alice, bob} {
		u, err := s.db.Usage(s.ctx, owner)
		s.ok(err)
		say("usage of %s: %+v", owner, u)
	}
	text.WriteString(s.jobsText())
	return text.String()
}

// outcome is what two actors did.
func (s *stage) outcome(first, second string) string {
	return fmt.Sprintf("the first: %s\nthe second: %s\n%sevents: %s", first, second, s.snapshot(), eventsText(s.eventsAfter(s.since)))
}

func extentsText(list []meta.Extent) string {
	var text strings.Builder
	for _, e := range list {
		fmt.Fprintf(&text, "[%s %d %d]", e.Key, e.Offset, e.Length)
	}
	return text.String()
}
