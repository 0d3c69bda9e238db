package metatest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// What changes a stage, each in one operation.
var (
	claims = action{"claim", func(ctx context.Context, s *stage) (string, error) {
		f, err := s.db.Claim(ctx, alice, s.upload.UID, s.content.ID, s.content.Gen, protocol.Nonce{7}, [32]byte{7}, `"e"`, s.clock.Now(), meta.ScopeOwner)
		return fileText(f), err
	}}
	startsClaim = action{"start a claim", func(ctx context.Context, s *stage) (string, error) {
		c, err := s.db.StartClaim(ctx, alice, s.upload.UID, s.challenge(1, 8), meta.ScopeOwner)
		return fmt.Sprint(c.Digest, c.Size, c.State, c.Gen), err // not its id: each play has other ids
	}}
	commits = action{"commit", func(ctx context.Context, s *stage) (string, error) {
		f, err := s.db.Commit(ctx, s.commitOf(s.upload, s.gen, 1, claimSize, meta.Extent{Blob: s.own, Length: claimSize}))
		return fileText(f), err
	}}
	records = action{"record", func(ctx context.Context, s *stage) (string, error) {
		gen, err := s.db.RecordPart(ctx, alice, s.upload.UID, part(1, s.spare, 0, claimSize))
		return fmt.Sprint(gen), err
	}}
	givesUp = action{"give up", func(ctx context.Context, s *stage) (string, error) {
		return "", s.db.DropBlob(ctx, s.own)
	}}
	puts = action{"put", func(ctx context.Context, s *stage) (string, error) {
		f, err := s.db.PutFile(ctx, s.shot, nil)
		return fileText(f), err
	}}
	deletes = action{"delete", func(ctx context.Context, s *stage) (string, error) {
		return "", s.db.DeleteFile(ctx, alice, s.file.UID)
	}}
	sweeps = action{"sweep", func(ctx context.Context, s *stage) (string, error) {
		n, err := s.db.DoomOffered(ctx, 10)
		return fmt.Sprint(n), err
	}}
	expires = action{"expire", func(ctx context.Context, s *stage) (string, error) {
		n, err := s.db.ExpireFiles(ctx, s.clock.Now().Add(2*time.Hour), 10)
		return fmt.Sprint(n), err
	}}
	adopts = action{"adopt", func(ctx context.Context, s *stage) (string, error) {
		files, err := s.db.Adopt(ctx, alice, s.adoptions)
		if err != nil {
			return "", err
		}
		text := ""
		for _, f := range files {
			if f == nil {
				text += "none "
				continue
			}
			text += fileText(*f) + " "
		}
		return text, nil
	}}
	damages = action{"damage", func(ctx context.Context, s *stage) (string, error) {
		return "", s.db.MarkDamaged(ctx, s.content.ID, s.content.Gen)
	}}
	fills = action{"fill", func(ctx context.Context, s *stage) (string, error) {
		return "", s.db.FillDigest(ctx, filled(s.unknown, 1))
	}}
	finds = action{"find", func(ctx context.Context, s *stage) (string, error) {
		return "", s.db.RecordFindings(ctx, []meta.FoundOut{{Content: s.looked.Content, Findings: findings(1)}}, s.as([]meta.DigestDue{s.looked}, "image/png"))
	}}
	moves = action{"move", func(ctx context.Context, s *stage) (string, error) {
		return "", s.db.MoveExtents(meta.Fenced(ctx, s.mover.Lease), meta.Move{Content: s.content.ID, Gen: s.content.Gen,
			Extents: []meta.Extent{{Blob: s.target, Length: claimSize}}, Verified: true})
	}}
	dropsTarget = action{"give the target up", func(ctx context.Context, s *stage) (string, error) {
		return "", s.db.DropBlob(ctx, s.target)
	}}
	deletesUnknown = action{"delete the unknown", func(ctx context.Context, s *stage) (string, error) {
		return "", s.db.DeleteFile(ctx, alice, s.unknown.UID)
	}}
	abandons = action{"abandon", func(ctx context.Context, s *stage) (string, error) {
		n, err := s.db.AbandonUploads(ctx, s.clock.Now().Add(time.Hour), 10)
		return fmt.Sprint(n), err
	}}
)

func viewUpload(ctx context.Context, s *stage, uid protocol.UID) (string, error) {
	u, err := s.db.Upload(ctx, alice, uid)
	text := fmt.Sprintf("%s gen=%d touched=%s", u.State, u.Gen, u.TouchedAt)
	if u.InPlace != nil {
		text += " in " + u.InPlace.Key
	}
	if u.File != nil {
		text += " is " + fileText(*u.File)
	}
	return text, err
}

func viewParts(ctx context.Context, s *stage, uid protocol.UID) (string, error) {
	parts, gen, err := s.db.Parts(ctx, alice, uid)
	text := fmt.Sprint("gen=", gen)
	for _, p := range parts {
		text += fmt.Sprintf(" [%d %s %d]", p.Number, p.Key, p.Gen)
	}
	return text, err
}

func viewContent(ctx context.Context, s *stage, uid protocol.UID) (string, error) {
	f, c, err := s.db.Content(ctx, alice, uid)
	media := "none"
	if f.MediaType != nil {
		media = *f.MediaType
	}
	return fmt.Sprintf("%s %s sums=%v %s gen=%d %s", fileText(f), media, f.MD5 != nil, c.State, c.Gen, extentsText(c.Extents)), err
}

// What looks at a stage, each in one operation.
var (
	seesUpload       = action{"upload", func(ctx context.Context, s *stage) (string, error) { return viewUpload(ctx, s, s.upload.UID) }}
	seesParts        = action{"parts", func(ctx context.Context, s *stage) (string, error) { return viewParts(ctx, s, s.upload.UID) }}
	seesContent      = action{"content", func(ctx context.Context, s *stage) (string, error) { return viewContent(ctx, s, s.file.UID) }}
	seesContentAgain = action{"content, read before", func(ctx context.Context, s *stage) (string, error) {
		if _, err := viewContent(s.ctx, s, s.file.UID); err != nil {
			return "", err
		}
		// A write, so that what was read is asked for again.
		if err := s.db.SaveAnswer(s.ctx, alice, meta.Idempotency{Key: fmt.Sprint(s.clock.Now()), Answer: []byte("{}")}); err != nil {
			return "", err
		}
		return viewContent(ctx, s, s.file.UID)
	}}
	seesHeld = action{"held", func(ctx context.Context, s *stage) (string, error) {
		held, err := s.db.HeldByMD5(ctx, alice, [][16]byte{{1}, {99}})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(held[0] != nil, held[1] != nil), nil
	}}
	seesExtents = action{"extents", func(ctx context.Context, s *stage) (string, error) {
		list, gen, err := s.db.Extents(ctx, s.content.ID)
		return fmt.Sprintf("gen=%d %s", gen, extentsText(list)), err
	}}
	seesBlocks = action{"blocks", func(ctx context.Context, s *stage) (string, error) {
		list, err := s.db.Blocks(ctx, s.content.ID, 0, 1)
		return fmt.Sprint(list), err
	}}
	seesClaim = action{"claimed", func(ctx context.Context, s *stage) (string, error) {
		f, err := s.db.Claimed(ctx, alice, s.upload.UID, protocol.Nonce{7}, [32]byte{7})
		if f == nil {
			return "none", err
		}
		return fileText(*f), err
	}}
	seesBlobs = action{"blobs", func(ctx context.Context, s *stage) (text string, err error) {
		err = s.db.EachBlob(ctx, func(b meta.BlobRefs) error {
			text += fmt.Sprintf("[%s %s %d %d %d %v %v]", b.Key, b.State, b.Extents, b.Parts, b.OpenUpload, b.Offered, b.UIDs)
			return nil
		})
		return text, err
	}}
	seesContents = action{"contents", func(ctx context.Context, s *stage) (text string, err error) {
		err = s.db.EachContent(ctx, func(c meta.ContentRefs) error {
			text += fmt.Sprintf("[%v %s %d %v %s]", c.Digest, c.State, c.Gen, c.Files, extentsText(c.Extents))
			return nil
		})
		return text, err
	}}
)

// renames gives the file a name and a media type, one after the other: it is
// no operation.
func renames(to string, nameFirst bool) action {
	return action{"rename to " + to, func(ctx context.Context, s *stage) (string, error) {
		media := &to
		steps := []meta.FilePatch{{Name: &to}, {MediaType: &media}}
		if !nameFirst {
			slices.Reverse(steps)
		}
		for _, p := range steps {
			if _, err := s.db.PatchFile(ctx, alice, s.file.UID, p); err != nil {
				return "", err
			}
		}
		return "", nil
	}}
}

// seesTwice looks at a file and then at the usage: it is no operation.
var seesTwice = action{"file and usage", func(ctx context.Context, s *stage) (string, error) {
	f, err := s.db.File(ctx, alice, s.file.UID)
	text := answerOf(fileText(f), err)
	u, err := s.db.Usage(ctx, alice)
	return fmt.Sprint(text, u), err
}}
