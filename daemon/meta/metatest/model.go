package metatest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// model is what the database should hold for two owners: uploads with their
// parts, files with the content they point to. Of blobs it holds those that are
// being written; of the others only the rule is checked.
type model struct {
	*env
	open     map[protocol.UID]*modelUpload
	files    map[protocol.UID]modelFile
	contents map[contentKey]modelContent
	// claims are the claims that succeeded, ended the uids that must not be
	// found any more.
	claims map[protocol.UID]byte
	ended  []protocol.UID
	nonces byte
	// blobs are all there were after the last step.
	blobs map[meta.BlobID]meta.BlobRefs
	// named are blobs of requests that end in a put, oldest first.
	named []namedBlob
	// happened are the events of the step, since the number of the last before
	// it.
	happened []string
	since    int64
	// released are blobs that were given up or offered: the sweep may doom
	// them, were they even being written.
	released map[meta.BlobID]bool
}

type namedBlob struct {
	meta.NewBlob
	id meta.BlobID
	at time.Time
}

type modelUpload struct {
	meta.Upload
	gen     int64
	touched time.Time
	parts   map[protocol.PartNumber]meta.NewPart
	// given are blobs made for the upload in which no part lies.
	given []meta.BlobID
	// nonce is that of the challenge given last, for digest; 0 without one. It
	// is good until then.
	nonce, digest byte
	until         time.Time
	// taken is the content a challenge was taken for.
	taken *takenClaim
}

// charged is what the owner's quota is charged for the upload.
func (u *modelUpload) charged() int64 {
	if u.Size != nil {
		return *u.Size
	}
	return u.Reserved
}

type takenClaim struct {
	content meta.Content
	key     contentKey
	epoch   int
	nonce   byte
}

// contentKey is what makes contents equal.
type contentKey struct {
	digest byte
	size   int64
	// unknown is the file whose commit did not know the digest, until it is
	// filled in; 0 for a content whose digest is known.
	unknown protocol.UID
}

// modelContent is one that files point to. Its epoch changes whenever bytes
// arrive for it.
type modelContent struct {
	epoch   int
	damaged bool
}

type modelFile struct {
	owner   protocol.Owner
	key     contentKey
	expires *time.Time
	// looked says that its digest job has run.
	looked bool
}

const (
	modelPart = claimSize
	// requestLife is how long a request may take.
	requestLife = time.Hour
)

// fingerprintOf gives the digests 1 and 2 one fingerprint.
func fingerprintOf(digest byte) protocol.Fingerprint { return protocol.Fingerprint{digest / 3} }

// modelQuotas leave bob little. Few uploads at once make long stories of each.
var modelQuotas = map[protocol.Owner]meta.Quota{alice: limit(-1, -1, 2), bob: limit(8*modelPart, 5, 1)}

// Model drives databases that open opens with random uploads, parts, losses,
// commits, claims, deletions, expiry and sweeps of two owners, and compares
// them with maps after each step. What it finds goes to found.
func Model(t testing.TB, found rapid.TB, open Open) {
	rapid.Check(found, func(r *rapid.T) {
		e := &env{TB: r, ctx: t.Context(), clock: NewClock(), uids: 1000}
		e.db = open(t, e.clock.Now)
		defer func() {
			if err := e.db.Close(); err != nil {
				r.Fatal(err)
			}
		}()
		m := &model{env: e, open: map[protocol.UID]*modelUpload{}, files: map[protocol.UID]modelFile{},
			contents: map[contentKey]modelContent{}, claims: map[protocol.UID]byte{},
			blobs: map[meta.BlobID]meta.BlobRefs{}, released: map[meta.BlobID]bool{}}
		for owner, q := range modelQuotas {
			m.ok(m.db.SetQuota(m.ctx, owner, q))
		}
		r.Repeat(Ranked(m.check, m.steps()))
		m.ok(m.db.CheckDatabase(m.ctx))
	})
}

// Step is something that can happen.
type Step struct {
	Name string
	Run  func(*rapid.T)
}

// Ranked are steps for rapid, which draws the first most often, by name, and
// the check that holds after each.
func Ranked(check func(*rapid.T), steps []Step) map[string]func(*rapid.T) {
	ranked := map[string]func(*rapid.T){"": check}
	for i, s := range steps {
		ranked[fmt.Sprintf("%02d %s", i, s.Name)] = s.Run
	}
	return ranked
}

// steps are ranked by how long the stories are that they make: parts go on,
// time ends many.
func (m *model) steps() []Step {
	return []Step{
		{"begin", m.beginUpload}, {"record", m.recordPart}, {"put", m.putFile}, {"claim", m.finishClaim},
		{"commit", m.commit}, {"give up", m.giveUp}, {"drop", m.dropPart}, {"sweep", m.sweep},
		{"take", m.takeChallenge}, {"challenge", m.startClaim}, {"add", m.addBlob}, {"lose", m.loseBlob},
		{"digest", m.digest}, {"adopt", m.adopt}, {"fill", m.fill}, {"move", m.move},
		{"delete", m.deleteFile}, {"damage", m.damage}, {"heal", m.heal}, {"abort", m.abort}, {"name", m.nameBlob}, {"anew", m.beginAnew},
		{"time", m.passTime}, {"expire", m.expire}, {"abandon", m.abandon}, {"prune", m.prune},
	}
}

// live reports whether something that expires at the time is still there.
func (m *model) live(expires *time.Time) bool { return expires == nil || expires.After(m.clock.Now()) }

// reach reports whether the owner's claims reach a live content that fits.
func (m *model) reach(owner protocol.Owner, scope meta.Scope, fits func(contentKey) bool) bool {
	for _, f := range m.files {
		if fits(f.key) && !m.contents[f.key].damaged && m.live(f.expires) && (scope == meta.ScopeGlobal || f.owner == owner) {
			return true
		}
	}
	return false
}

// usage is what the owner should have.
func (m *model) usageOf(owner protocol.Owner) (u meta.Usage) {
	for _, f := range m.files {
		if f.owner == owner {
			u.Files++
			u.Bytes += f.key.size
		}
	}
	for _, o := range m.open {
		if o.Owner == owner {
			u.Files++
			u.Uploads++
			u.Bytes += o.charged()
		}
	}
	return u
}

// fits reports whether the owner's quota has room for more.
func (m *model) fits(owner protocol.Owner, more meta.Usage) bool {
	q, u := modelQuotas[owner], m.usageOf(owner)
	room := func(limit *int64, used, more int64) bool { return limit == nil || more <= 0 || used+more <= *limit }
	return room(q.Bytes, u.Bytes, more.Bytes) && room(q.Files, u.Files, more.Files) && room(q.Uploads, u.Uploads, more.Uploads)
}

// received notes that bytes arrived: they win.
func (m *model) received(k contentKey) {
	if m.contents[k].damaged {
		m.eachOf(k, protocol.EventContentHealed)
	}
	m.contents[k] = modelContent{epoch: m.contents[k].epoch + 1}
}

// event notes what the step must have made known.
func (m *model) event(kind protocol.EventKind, uid protocol.UID) {
	m.happened = append(m.happened, eventText(kind, uid))
}

// eachOf is event for all files of a content.
func (m *model) eachOf(k contentKey, kind protocol.EventKind) {
	for uid, f := range m.files {
		if f.key == k {
			m.event(kind, uid)
		}
	}
}

// checkEvents compares the events that were made with those of the step.
func (m *model) checkEvents() {
	events := m.eventsAfter(m.since)
	for i, e := range events {
		m.same("number", e.Number, m.since+1+int64(i))
	}
	slices.Sort(m.happened)
	m.same("events", eventsText(events), strings.Join(m.happened, " "))
	m.since, m.happened = m.since+int64(len(events)), nil
}

// end notes that a file or upload is there no more; the last file of a content
// takes it along.
func (m *model) end(uid protocol.UID) {
	key := m.files[uid].key
	delete(m.files, uid)
	delete(m.open, uid)
	m.ended = append(m.ended, uid)
	for _, f := range m.files {
		if f.key == key {
			return
		}
	}
	c := m.contents[key]
	m.contents[key] = modelContent{epoch: c.epoch + 1}
}

// check compares everything the database shows with the model, and holds the
// rule of references.
func (m *model) check(*rapid.T) {
	for uid, u := range m.open {
		m.checkOpen(uid, u)
	}
	ids := map[contentKey]meta.ContentID{}
	for uid, f := range m.files {
		if !m.live(f.expires) {
			m.gone(uid)
			continue
		}
		m.checkFile(uid, f, ids)
	}
	for _, uid := range m.ended[max(0, len(m.ended)-2):] {
		m.gone(uid)
	}
	for _, owner := range []protocol.Owner{alice, bob} {
		got, err := m.db.Usage(m.ctx, owner)
		m.ok(err)
		m.same("usage of "+string(owner), got, m.usageOf(owner))
		for _, fp := range []byte{1, 3} {
			may := m.mayHave(owner, meta.ScopeOwner, modelPart, fp/3)
			want := m.reach(owner, meta.ScopeOwner, func(k contentKey) bool {
				return k.unknown == 0 && k.size == modelPart && fingerprintOf(k.digest) == fingerprintOf(fp)
			})
			m.same("maybe", may, want)
		}
	}
	m.checkDue()
	m.recount()
	m.checkBlobs()
	m.checkEvents()
}

func (m *model) checkOpen(uid protocol.UID, u *modelUpload) {
	if !m.live(u.ExpiresAt) {
		m.gone(uid)
		return
	}
	parts, gen, err := m.db.Parts(m.ctx, u.Owner, uid)
	m.ok(err)
	m.same("gen", gen, u.gen)
	m.same("number of parts", len(parts), len(u.parts))
	for _, p := range parts {
		m.same("part", p.NewPart, u.parts[p.Number])
	}
}

func (m *model) checkFile(uid protocol.UID, want modelFile, ids map[contentKey]meta.ContentID) {
	f, c, err := m.db.Content(m.ctx, want.owner, uid)
	m.ok(err)
	state := meta.ContentLive
	if m.contents[want.key].damaged {
		state = meta.ContentDamaged
	}
	digest := ""
	if want.key.unknown == 0 {
		digest = protocol.Digest{want.key.digest}.String()
	}
	got := ""
	if f.Digest != nil {
		got = f.Digest.String()
	}
	m.same("file", []any{got, f.Size, c.State, f.MD5 != nil}, []any{digest, want.key.size, state, want.looked})
	if other, ok := ids[want.key]; ok && other != c.ID {
		m.Fatalf("contents %d and %d are equal", other, c.ID)
	}
	ids[want.key] = c.ID
	var sum int64
	for _, x := range c.Extents {
		sum += x.Length
	}
	m.same("bytes", sum, f.Size)
	if nonce, ok := m.claims[uid]; ok {
		again, err := m.db.Claimed(m.ctx, want.owner, uid, protocol.Nonce{nonce}, [32]byte{nonce})
		m.ok(err)
		m.same("claimed before", again != nil, true)
	}
}

// gone expects that nobody finds the uid.
func (m *model) gone(uid protocol.UID) {
	for _, owner := range []protocol.Owner{alice, bob} {
		_, err := m.db.Upload(m.ctx, owner, uid)
		m.kind(err, protocol.KindNotFound)
		_, err = m.db.File(m.ctx, owner, uid)
		m.kind(err, protocol.KindNotFound)
	}
}

// anyOf draws a key, or ends the step where there is none that fits.
func anyOf[V any](r *rapid.T, from map[protocol.UID]V, what string, fits func(V) bool) protocol.UID {
	uids := slices.DeleteFunc(slices.Sorted(maps.Keys(from)), func(uid protocol.UID) bool { return !fits(from[uid]) })
	if len(uids) == 0 {
		r.Skip("no " + what)
	}
	return rapid.SampledFrom(uids).Draw(r, what)
}

// anyOpen draws an open upload.
func (m *model) anyOpen(r *rapid.T) *modelUpload {
	return m.open[anyOf(r, m.open, "upload", func(u *modelUpload) bool { return m.live(u.ExpiresAt) })]
}

// anyFile draws a file.
func (m *model) anyFile(r *rapid.T) protocol.UID {
	return anyOf(r, m.files, "file", func(f modelFile) bool { return m.live(f.expires) })
}

func anyOwner(r *rapid.T) protocol.Owner {
	return rapid.SampledFrom([]protocol.Owner{alice, bob}).Draw(r, "owner")
}

func anyDigest(r *rapid.T) byte { return rapid.ByteRange(1, 3).Draw(r, "digest") }

// anyExpiry draws none, or some seconds from now.
func (m *model) anyExpiry(r *rapid.T) *time.Time {
	s := rapid.IntRange(-6, 6).Draw(r, "expires")
	if s <= 0 {
		return nil
	}
	at := m.clock.Now().Add(time.Duration(s) * time.Second)
	return &at
}
