package meta

import (
	"context"
	"crypto/md5"
	"maps"
	"slices"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// LastInheritable is the greatest uid that a file can inherit, 20 years before
// uids are used up: all that are minted later lie above those that are inherited.
const LastInheritable = (lastMilli-20*366*24*int64(time.Hour/time.Millisecond))<<(workerBits+sequenceBits) | (1<<(workerBits+sequenceBits) - 1)

// Inheritable reports whether a file may have the uid of another service: it is
// one as ours are, and leaves enough of them above it.
func Inheritable(uid int64) bool { return uid > 0 && uid <= LastInheritable }

// Inherited is a file of the service that was there before, which keeps its uid
// and whose bytes stay where they are. From is of the other service and the uid,
// so that it is known again.
type Inherited struct {
	FileFields
	UID protocol.UID
	// Objects hold the bytes, in this order.
	Objects []HeldObject
	// MD5 is that of all bytes, where the other service knew it. Where they turn
	// out to have another one, the file is not read.
	MD5 *[md5.Size]byte
	// Anew has a file that is there already have these objects and this MD5 from
	// now on, as long as its bytes lie in objects that are not ospd's.
	Anew bool
	// Unsaid has the MD5 that was said of a file that is there already be said no
	// more where its bytes were not found to have it. Nothing else changes by that,
	// and Objects are of no use.
	Unsaid bool
}

// Size is the length of the objects together.
func (i Inherited) Size() (n int64) {
	for _, o := range i.Objects {
		n += o.Size
	}
	return n
}

// HeldObject is an object that is not ospd's, as it was when it was looked at.
type HeldObject struct {
	Store, Key string
	Size       int64
	Tag        string
}

// InheritOutcome is what became of an inherited file.
type InheritOutcome string

// The outcomes there are.
const (
	InheritMade    InheritOutcome = "made"
	InheritAlready InheritOutcome = "already"
	// InheritUpdated is one that was there and was made anew, as it was wanted.
	InheritUpdated InheritOutcome = "updated"
	// InheritDeleted is one that was there and was deleted since, as is known for
	// a day: it stays so.
	InheritDeleted InheritOutcome = "deleted"
	// InheritRefused is none, for a reason.
	InheritRefused InheritOutcome = "refused"
)

// InheritResult is an outcome, with the reason where it is a refusal.
type InheritResult struct {
	Outcome InheritOutcome
	Why     string
}

// Inherit makes the files in one durable transaction, each once however often
// it is called, and gives what became of each. Uids that are minted from the next
// reservation on lie above all of them. Of a new file nothing is known but the
// size until its digest job has run. It is KindQuotaExceeded where the owner may
// not have all of them, and nothing is recorded then.
func (db *DB) Inherit(ctx context.Context, files []Inherited) (results []InheritResult, err error) {
	err = db.named(ctx, "inherit files", func(t *tx) error {
		results = make([]InheritResult, len(files))
		var last protocol.UID
		charged := map[protocol.Owner]Usage{}
		// What is refused since another file has the object may be had once that
		// one is made anew.
		for again := range 2 {
			for i, f := range files {
				if again > 0 && (results[i].Outcome != InheritRefused || !f.Anew) {
					continue
				}
				var d Usage
				if results[i], d, err = t.inherit(f); err != nil {
					return err
				}
				charged[f.Owner] = charged[f.Owner].plus(d)
				if results[i].Outcome == InheritMade {
					last = max(last, f.UID)
				}
			}
		}
		if err := t.raiseFloor(last); err != nil {
			return err
		}
		for i, f := range files {
			if results[i].Outcome == InheritMade || results[i].Outcome == InheritUpdated {
				if err := t.tellCommitted(f.Owner, f.UID); err != nil {
					return err
				}
			}
		}
		for _, owner := range slices.Sorted(maps.Keys(charged)) {
			if d := charged[owner]; d != (Usage{}) {
				if err := t.reserve(owner, d, db.cfg.DefaultQuota); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return results, err
}

func refusedUID(why string) InheritResult {
	return InheritResult{InheritRefused, why + "; nothing was changed"}
}

// inherit makes one file, unless there is one, and gives what its owner has more
// by that.
func (t *tx) inherit(f Inherited) (r InheritResult, d Usage, err error) {
	if !Inheritable(int64(f.UID)) {
		return refusedUID("the uid leaves too few above it that could be given to new files"), d, nil
	}
	as, found, err := t.inherited(f)
	switch {
	case err != nil:
		return r, d, err
	case found && f.Unsaid && !f.Anew && as.Doubted():
		return t.unsay(f)
	case found && (as.Outcome != InheritAlready || !f.Anew):
		return as.InheritResult, d, nil
	case f.Size() == 0 && f.MD5 != nil && *f.MD5 != md5.Sum(nil):
		return InheritResult{InheritRefused, "its object is empty, and its MD5 is not that of nothing; nothing was made of it"}, d, nil
	case found:
		return t.inheritAnew(f, as)
	}
	content, known, why, err := t.inheritContent(f)
	if err != nil || why != "" {
		return InheritResult{InheritRefused, why}, d, err
	}
	if err := t.insertFile(f.FileFields, f.UID, timeOf(t.now)); err != nil {
		return r, d, err
	}
	etag := `"u` + f.UID.String() + `"`
	return InheritResult{Outcome: InheritMade}, Usage{Bytes: f.Size(), Files: 1}, t.pointInherited(f, content, known, etag)
}

// pointInherited has the file's bytes be those of the content. etag is for one
// whose digest is not known.
func (t *tx) pointInherited(f Inherited, content ContentID, known *protocol.Digest, etag string) error {
	if f.MD5 != nil {
		// Of nothing there is no digest job that would find it out.
		if err := t.say(f.UID, &SaidMD5{MD5: *f.MD5, Agrees: f.Size() == 0}); err != nil {
			return err
		}
	}
	if known != nil {
		etag = `"` + known.String() + `"`
	}
	return t.point(f.UID, content, etag, t.now, t.digestDue(f.Size(), known != nil))
}

// inheritContent gives the content of the file's objects, and its digest where
// that is known. Of one object that several files have there is one content, so
// that it is read once.
func (t *tx) inheritContent(f Inherited) (id ContentID, known *protocol.Digest, why string, err error) {
	if f.Size() == 0 {
		digest, fingerprint := protocol.DigestOf(nil), protocol.FingerprintOf(0, nil)
		id, err = t.place(received{uid: f.UID, digest: &digest, fingerprint: &fingerprint})
		return id, &digest, "", err
	}
	r := received{uid: f.UID, size: f.Size()}
	for _, o := range f.Objects {
		if o.Size == 0 {
			continue
		}
		blob, why, err := t.foreignBlob(InPlace{Store: o.Store, Key: o.Key, Size: o.Size, Tag: o.Tag})
		if err != nil || why != "" {
			return 0, nil, why, err
		}
		r.extents = append(r.extents, Extent{Blob: blob, Length: o.Size})
	}
	if len(r.extents) == 1 {
		if id, known, err = t.sharedContent(r.extents[0]); id != 0 || err != nil {
			return id, known, "", err
		}
	}
	id, err = t.place(r)
	return id, nil, "", err
}

// sharedContent is the live content that is the whole of one object, 0 where
// there is none.
func (t *tx) sharedContent(e Extent) (id ContentID, known *protocol.Digest, err error) {
	list, err := ids[ContentID](t.query, `SELECT c.id FROM extents e JOIN contents c ON c.id = e.content_id
		WHERE e.blob_id = ? AND e.seq = 0 AND e.blob_offset = 0 AND e.length = ? AND c.size = ? AND c.state = 'live' ORDER BY c.id`, e.Blob, e.Length, e.Length)
	if err != nil {
		return 0, nil, err
	}
	for _, id := range list {
		var state string
		var digest []byte
		if _, err := t.one(`SELECT state, digest FROM contents WHERE id = ? FOR UPDATE`, []any{id}, &state, &digest); err != nil {
			return 0, nil, err
		}
		if state == ContentLive {
			known, err = decodeHash[protocol.Digest](digest)
			return id, known, err
		}
	}
	return 0, nil, nil
}
