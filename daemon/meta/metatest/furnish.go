package metatest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Furnish fills an empty database with something of every kind that verbs make,
// in all the states it has: what takes all of a database somewhere else must
// take each. It gives the file that was put first, of alice's.
func Furnish(t testing.TB, db *meta.DB, clock *Clock) protocol.File {
	e := &env{TB: t, ctx: t.Context(), db: db, clock: clock, uids: 1000}
	e.furnishOwners()
	e.furnishWatchers()
	first := e.furnishFiles()
	e.furnishUploads()
	e.furnishClaims()
	e.furnishJobs()
	e.furnishEvents()
	return first
}

func (e *env) furnishOwners() {
	expires := e.clock.Now().Add(time.Hour)
	for _, k := range []meta.Token{
		{ID: "used", Owner: alice, Scopes: []string{"file:read", "admin"}, Note: "for CI, 用", Hash: [32]byte{0, 1, 2}},
		{ID: "ends", Owner: bob, ExpiresAt: &expires}, {ID: "revoked", Owner: bob},
	} {
		e.ok(e.db.CreateToken(e.ctx, k))
	}
	e.ok(errors.Join(e.db.TouchToken(e.ctx, "used"), e.db.RevokeToken(e.ctx, "revoked")))
	_, err := e.db.TokenPepper(e.ctx)
	e.ok(err)
	e.ok(e.db.SetQuota(e.ctx, alice, limit(1<<62, 1<<40, 1000)))
	for _, key := range []string{"", "an answer"} {
		e.ok(e.db.SaveAnswer(e.ctx, alice, meta.Idempotency{Key: "of " + key, Answer: []byte(key), Created: key == "", UID: 7}))
	}
	e.ok(errors.Join(e.db.RememberStore(e.ctx, "disk"), e.db.KeepClock(e.ctx, e.clock.Now())))
	_, err = e.db.WantDigests(e.ctx, "disk", 10)
	e.ok(err)
	_, err = e.db.ReserveUIDs(e.ctx, 0, 90_000_000_000)
	e.ok(err)
	for range 3 {
		dir, err := e.db.ReserveDir(e.ctx, "disk")
		e.ok(err)
		if dir == 1 {
			e.ok(e.db.CloseDir(e.ctx, "disk", dir))
		}
	}
}

// furnishWatchers makes who hears of the events of the rest.
func (e *env) furnishWatchers() {
	e.ok(errors.Join(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer), e.db.RegisterConsumer(e.ctx, "reads"), e.db.RegisterConsumer(e.ctx, "is late")))
	e.hook(alice)
	gone := e.hook(bob)
	e.ok(e.db.RemoveWebhook(e.ctx, bob, gone.ID))
}

func (e *env) furnishFiles() protocol.File {
	_, first := e.put("the first", 1, 3*protocol.BlockSize+1)
	media, expires := "text/plain; charset=utf-8", e.clock.Now().Add(time.Hour)
	n := e.oneShot("名前/naïve 'quoted' \\ 🙂", 2, 5)
	n.MediaType, n.Meta, n.ExpiresAt = &media, map[string]string{"key": "значение"}, &expires
	_, err := e.db.PutFile(e.ctx, n, nil)
	e.ok(err)
	e.putAs(bob, "shared", 2)
	e.put("long", 3, 1500*protocol.BlockSize) // more blocks than one row has
	deleted := e.putAs(alice, "deleted", 4)
	e.ok(e.db.DeleteFile(e.ctx, alice, deleted))
	damaged := e.putAs(alice, "damaged", 5)
	_, c := e.contentOf(damaged)
	e.ok(errors.Join(e.db.MarkDamaged(e.ctx, c.ID, c.Gen), e.db.EnqueueScrub(e.ctx, c.ID)))
	e.commitUnknown("unknown", 7)
	filledIn := e.commitUnknown("filled in", 2*protocol.BlockSize)
	e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(filledIn.UID), 6)))
	looked := e.putShot("looked at", 7, 5)
	due := e.dueOf(looked.UID)
	e.ok(e.db.RecordFindings(e.ctx, []meta.FoundOut{{Content: due.Content, Findings: findings(1)}}, e.as([]meta.DigestDue{due}, "image/png")))
	put := e.putAs(alice, "put twice", 8)
	_, again := e.put("put twice", 8, 5) // its bytes win, the other's are offered
	_, c = e.contentOf(again.UID)
	e.same("one content for both", c.Extents != nil && put != again.UID, true)
	e.ok(e.db.MarkVerified(e.ctx, []meta.Verified{{Content: c.ID, Gen: c.Gen}}))
	return first
}

func (e *env) furnishUploads() {
	e.begin(e.newUpload("just begun"))
	size, fp := int64(3*protocol.MinPartSize), protocol.Fingerprint{9}
	n := e.newUpload("half sent")
	n.Size, n.Fingerprint = &size, &fp
	half := e.begin(n)
	synced := e.record(half.UID, part(1, half.Blob, 0, protocol.MinPartSize))
	e.ok(e.db.PartsSynced(e.ctx, half.UID, half.Blob, synced))
	e.record(half.UID, part(2, half.Blob, protocol.MinPartSize, protocol.MinPartSize))
	unsized := e.begin(e.newUpload("of unknown size"))
	e.ok(e.db.ReserveUpload(e.ctx, alice, unsized.UID, 100))
	chunks := e.beginChunks("in chunks")
	first := e.newChunk(chunks.UID, 1, 5, 1)
	first.After = []byte{0, 255}
	_, _, err := e.db.RecordChunk(e.ctx, alice, chunks.UID, first)
	e.ok(err)
	e.chunk(chunks.UID, 3, 7, 3)
	e.say("said", 13, 5, 13, false)
	e.say("said, and seen", 14, 5, 14, true)
	aborted := e.begin(e.newUpload("aborted"))
	e.ok(e.db.AbortUpload(e.ctx, alice, aborted.UID))
	_, err = e.db.AddBlob(e.ctx, e.newBlob(3), 0) // of a request that never came back
	e.ok(err)
	lost := e.begin(e.newUpload("lost its blob"))
	e.record(lost.UID, part(1, lost.Blob, 0, 3))
	e.ok(e.db.LoseBlob(e.ctx, lost.UID, lost.Blob))
	gone := e.putAs(alice, "gone", 10)
	e.ok(e.db.DeleteFile(e.ctx, alice, gone))
	list, err := e.db.Doomed(e.ctx, "", e.clock.Now().Add(time.Second), nil, 1)
	e.ok(err)
	e.ok(e.db.MarkGone(e.ctx, idsOf(list)))
	expiring := e.newUpload("expired")
	past := e.clock.Now().Add(time.Second)
	expiring.ExpiresAt = &past
	e.begin(expiring)
	e.clock.Add(2 * time.Second)
	_, err = e.db.ExpireFiles(e.ctx, e.clock.Now(), 100)
	e.ok(err)
}

// furnishClaims makes a challenge that was not answered, and a claim.
func (e *env) furnishClaims() {
	e.share("claimable")
	open, done := e.maybe(alice, "claims"), e.maybe(alice, "claimed")
	e.start(open.UID, 1)
	c := e.start(done.UID, 2)
	_, err := e.claim(alice, done.UID, c, 2, meta.ScopeOwner)
	e.ok(err)
}

func (e *env) furnishJobs() {
	e.enqueue(meta.NewJob{Subject: "waits", Owner: bob, Args: json.RawMessage(`{"a":"ä"}`), After: time.Hour, Priority: protocol.PriorityIdle})
	e.ok(e.db.SetPeriodic(e.ctx, meta.NewJob{Kind: "periodic"}, time.Minute))
	for _, result := range []meta.JobResult{meta.ResultDone, meta.ResultFailed, meta.ResultHopeless, meta.ResultCancelled} {
		e.enqueue(meta.NewJob{})
		e.ok(e.db.EndJob(e.ctx, e.leaseOne(one).Lease, meta.JobOutcome{Result: result, After: time.Hour, Error: "because", Checkpoint: json.RawMessage(`{"at":1}`)}))
	}
	e.enqueue(meta.NewJob{Subject: "runs", MaxAttempts: 3})
	running := e.leaseOne(one)
	total := int64(10)
	ours := meta.Fenced(e.ctx, running.Lease)
	e.ok(e.db.KeepComposition(ours, e.target(ours, 5), "a composition"))
	_, err := e.db.BeatJob(e.ctx, running.Lease, lease, &protocol.JobProgress{Done: 1, Total: &total}, nil)
	e.ok(err)
	object, adopted := e.object("f/object", 7), e.object("f/adopted", 8)
	adopted.Adopted = true
	failed := meta.ImportEntry{Path: "f/ä", Size: 3, Outcome: protocol.ImportFailed, Error: "because"}
	_, err = e.db.RecordImport(e.ctx, running.ID, 0, append(entriesOf(object, adopted), failed), json.RawMessage(`{"at":3}`))
	e.ok(err)
	_, err = e.db.CancelJob(e.ctx, meta.AnyOwner, running.ID)
	e.ok(err)
}

// furnishEvents numbers what happened, and has it on its way to those who hear
// of it; what happens then has no number.
func (e *env) furnishEvents() {
	e.fanOut()
	w, err := e.db.Webhooks(e.ctx, alice)
	e.ok(err)
	due := e.dueFor(w[0])
	e.ok(e.db.Delivered(e.ctx, due[0]))
	e.fails(e.ctx, due[1], meta.DeliveryFailure{Error: "refused", After: time.Hour, Rest: never})
	e.fails(e.ctx, due[2], meta.DeliveryFailure{Error: "gone", Dead: true, Rest: never})
	b := e.take("reads", 2)
	e.ok(e.db.SettleEvents(e.ctx, "reads", "me", b.Events[1].Number))
	e.take("is late", 2)
	e.putAs(bob, "after the events", 12)
}
