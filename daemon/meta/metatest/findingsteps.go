package metatest

import (
	"crypto/md5"
	"slices"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// checkDue holds that every file is due for a digest job until one looked at it.
func (m *model) checkDue() {
	due, err := m.db.DueDigests(m.ctx, 1000)
	m.ok(err)
	var got, want []protocol.UID
	for _, d := range due {
		got = append(got, d.UID)
	}
	for uid, f := range m.files {
		if !f.looked {
			want = append(want, uid)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	m.same("due for a digest job", got, want)
}

// digest looks at some of the files that are due. Of a content that was looked
// at for one file nothing is found again for another.
func (m *model) digest(r *rapid.T) {
	due, err := m.db.DueDigests(m.ctx, rapid.IntRange(1, 3).Draw(r, "limit"))
	m.ok(err)
	var found []meta.FoundOut
	var done []meta.DigestDue
	for _, d := range due {
		if !d.DigestKnown {
			continue
		}
		if !d.SumsKnown {
			found = append(found, meta.FoundOut{Content: d.Content, Findings: findings(m.files[d.UID].key.digest)})
		}
		done = append(done, d)
	}
	m.ok(m.db.RecordFindings(m.ctx, found, done))
	for _, d := range done {
		f := m.files[d.UID]
		f.looked = true
		m.files[d.UID] = f
	}
}

// adopt makes files on a content that an owner was found to have by its MD5,
// maybe after others came between.
func (m *model) adopt(r *rapid.T) {
	owner, d := anyOwner(r), anyDigest(r)
	var keys []contentKey
	for _, f := range m.files {
		if f.owner == owner && f.looked && f.key.size > 0 && f.key.digest == d && m.live(f.expires) && !m.contents[f.key].damaged && !slices.Contains(keys, f.key) {
			keys = append(keys, f.key)
		}
	}
	held := m.held(owner, d)
	m.same("held", held != nil, len(keys) == 1)
	if held == nil {
		r.Skip("no content of one MD5")
	}
	key := keys[0]
	m.same("size", held.Size, key.size)
	var list []meta.Adoption
	for range rapid.IntRange(1, 2).Draw(r, "files") {
		list = append(list, m.adoption(held.Content, d))
	}
	n := int64(len(list))
	files, err := m.db.Adopt(m.ctx, owner, list)
	if !m.fits(owner, meta.Usage{Files: n, Bytes: n * key.size}) {
		m.kind(err, protocol.KindQuotaExceeded)
		return
	}
	m.ok(err)
	for i, a := range list {
		m.same("made", files[i].UID, a.UID)
		m.event(protocol.EventFileCommitted, a.UID)
		m.files[a.UID] = modelFile{owner: owner, key: key, looked: true}
	}
}

// fill fills in a digest that is not known: the bytes win as those received do.
func (m *model) fill(r *rapid.T) {
	uid := anyOf(r, m.files, "file of unknown digest", func(f modelFile) bool { return f.key.unknown != 0 })
	f := m.files[uid]
	due, err := m.db.DueDigests(m.ctx, 1000)
	m.ok(err)
	d := due[slices.IndexFunc(due, func(d meta.DigestDue) bool { return d.UID == uid })]
	fill := filled(d, f.key.digest)
	fill.Fingerprint = fingerprintOf(f.key.digest)
	if f.key.size == 0 {
		fill.MD5 = md5.Sum(nil)
	}
	if rapid.IntRange(0, 9).Draw(r, "stale") == 9 {
		fill.Gen--
	}
	err = m.db.FillDigest(m.ctx, fill)
	switch {
	case m.contents[f.key].damaged:
		m.kind(err, protocol.KindContentCorrupt)
		return
	case fill.Gen != d.Gen:
		if !isGenChanged(err) {
			m.Fatalf("a stale digest gave %v", err)
		}
		return
	}
	m.ok(err)
	delete(m.contents, f.key)
	f.key.unknown, f.looked = 0, true
	m.received(f.key)
	m.files[uid] = f
	m.ok(m.db.EachContent(m.ctx, func(c meta.ContentRefs) error {
		if c.ID == d.Content && c.State != meta.ContentDoomed {
			m.Fatalf("the content that was filled is %s", c.State)
		}
		return nil
	}))
}

// findings are some that n names.
func findings(n byte) meta.Findings {
	return meta.Findings{SHA256: [32]byte{n}, MD5: [16]byte{n}, MediaType: "image/png", Width: int(n), Height: 2 * int(n)}
}

// filled is what is computed of a content with a digest that d names.
func filled(due meta.DigestDue, d byte) meta.Filled {
	return meta.Filled{Content: due.Content, Gen: due.Gen, Digest: protocol.Digest{d}, Fingerprint: protocol.Fingerprint{d},
		Blocks: blocks(due.Size, d), Findings: findings(d)}
}
