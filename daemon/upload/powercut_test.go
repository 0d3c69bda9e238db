//go:build !postgres

// A power cut leaves what SQLite has in its files then: these are copied.

package upload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store/local/record"
)

// database is a copy of the files of a database.
type database struct{ main, wal []byte }

// moment is a point at which the power may go: after k operations of the file
// layer, with what the database held then, and what had been answered.
type moment struct {
	k int
	// db is the database with every transaction; durable is the one a power
	// cut may leave, without the relaxed ones since the last durable one.
	db, durable database
	answered    int
}

// trace is a write side on a recording file layer, with every moment of it.
type trace struct {
	*bench
	rec  *record.FS
	path string

	mu      sync.Mutex
	moments []moment
	durable database
	// promises hold for every moment that has as many answers.
	promises []func(*bench) error
	// sent is all that was ever sent of each part.
	sent    map[protocol.UID]map[protocol.PartNumber][][]byte
	aborted map[protocol.UID]bool
	content map[protocol.UID][]byte
}

func newTrace(t testing.TB, rec *record.FS) *trace {
	tr := &trace{rec: rec, path: filepath.Join(t.TempDir(), "meta.db"),
		sent: map[protocol.UID]map[protocol.PartNumber][][]byte{}, aborted: map[protocol.UID]bool{}, content: map[protocol.UID][]byte{}}
	tr.bench = newBench(t, setup{backend: localOn(t, rec), db: tr.path})
	tr.durable = tr.copy()
	rec.OnOp(func(k int) {
		// A file or directory is made only after a durable transaction.
		kind := rec.Log()[k-1].Kind
		tr.see(k, kind == record.Create || kind == record.Mkdir)
	})
	return tr
}

func (tr *trace) copy() (d database) {
	var err error
	d.main, err = os.ReadFile(tr.path)
	must(tr.t, err)
	d.wal, err = os.ReadFile(tr.path + "-wal")
	must(tr.t, err)
	return d
}

// see notes a moment. A transaction that another sync of the same request is
// writing just then is the unfinished end of the log, which is no transaction.
func (tr *trace) see(k int, durable bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	m := moment{k: k, db: tr.copy(), answered: len(tr.promises)}
	if durable {
		tr.durable = m.db
	}
	m.durable = tr.durable
	tr.moments = append(tr.moments, m)
}

// promised notes that something was answered, and what must hold from now on.
func (tr *trace) promised(durable bool, kept func(*bench) error) {
	tr.mu.Lock()
	tr.promises = append(tr.promises, kept)
	tr.mu.Unlock()
	tr.see(tr.rec.Len(), durable)
}

func reads(uid protocol.UID, content []byte) func(*bench) error {
	return func(b *bench) error {
		got, _, err := b.read(uid)
		if err == nil && !bytes.Equal(got, content) {
			err = errors.New("other bytes")
		}
		return err
	}
}

// begin makes an upload that is to become content.
func (tr *trace) begin(size *int64, content []byte) protocol.UID {
	uid := tr.beginBlocks(size)
	tr.content[uid] = content
	tr.sent[uid] = map[protocol.PartNumber][][]byte{}
	tr.promised(true, func(b *bench) error {
		_, err := b.db.Upload(context.Background(), owner, uid)
		if tr.aborted[uid] {
			return nil
		}
		return err
	})
	return uid
}

func (tr *trace) part(uid protocol.UID, n protocol.PartNumber, p []byte) {
	tr.sent[uid][n] = append(tr.sent[uid][n], p)
	tr.put(uid, n, p)
	tr.promised(false, func(*bench) error { return nil })
}

func (tr *trace) committed(uid protocol.UID, size int64, content []byte) {
	tr.commit(uid, protocol.CommitUpload{Size: &size})
	tr.promised(true, reads(uid, content))
	tr.waitCut()
	tr.see(tr.rec.Len(), false)
}

func (tr *trace) oneShot(p []byte) {
	r, err := tr.PutFile(tr.t.Context(), owner, upload.NewFile{Name: "a", Body: p}, nil)
	must(tr.t, err)
	tr.promised(true, reads(r.UID, p))
}

// scenarios are traced puts; of each every sync is needed. Those that write two
// directories begin with a file in one, or one sync of the root would do for
// both.
var scenarios = map[string]func(*trace){
	"parts": func(tr *trace) {
		tr.oneShot(random(3, 10))
		content := random(1, block+30_000)
		uid := tr.begin(nil, content)
		tr.part(uid, 2, random(2, 20_000))
		tr.part(uid, 1, content[:block])
		tr.part(uid, 2, content[block:])
		tr.committed(uid, int64(len(content)), content)
	},
	"one-shots": func(tr *trace) {
		for i := range int64(4) {
			tr.oneShot(random(i, 20_000*i))
		}
		tr.oneShot(random(1, 20_000)) // equal bytes, which win
	},
	"resumed after a restart": func(tr *trace) {
		content := random(3, 10)
		uid := tr.begin(nil, content)
		tr.part(uid, 1, content)
		tr.committed(uid, 10, content)
		content = random(1, 30_000)
		uid = tr.begin(nil, content)
		tr.part(uid, 1, random(2, 20_000))
		tr.part(uid, 3, random(3, 20_000))
		tr.restart("boot 1")
		tr.part(uid, 1, content)
		tr.oneShot(content)
		must(tr.t, tr.Abort(tr.t.Context(), owner, uid))
		tr.aborted[uid] = true
		tr.promised(true, func(*bench) error { return nil })
		uid = tr.begin(ptr(int64(len(content))), content)
		tr.restart("boot 1")
		tr.part(uid, 1, content)
		tr.committed(uid, int64(len(content)), content)
	},
}

// run makes a trace of a scenario and ends it.
func run(t testing.TB, rec *record.FS, scenario func(*trace)) *trace {
	tr := newTrace(t, rec)
	scenario(tr)
	rec.OnOp(nil)
	must(t, tr.end())
	return tr
}

// broken cuts the power at every moment, or, to find no loss, at each of so many
// (powerCutEach), in every way that leaves something else,
// and gives what does not hold then. It stops at the first loss if it is asked to.
func (tr *trace) broken(variants []record.Variant, first bool) (found []string) {
	dir := tr.t.TempDir()
	for i, m := range slices.Backward(tr.moments) {
		if !first && i%powerCutEach != 0 && i < len(tr.moments)-1 {
			continue
		}
		var tried []*record.FS
		for _, v := range variants {
			left := tr.rec.CrashAt(m.k, v, uint64(m.k))
			if slices.ContainsFunc(tried, left.BeganAs) {
				continue // most syncs leave nothing of which there are several ways to lose it
			}
			tried = append(tried, left)
			for name, db := range map[string]database{"whole": m.db, "durable": m.durable} {
				if name == "durable" && bytes.Equal(db.wal, m.db.wal) && bytes.Equal(db.main, m.db.main) {
					continue
				}
				for _, loss := range tr.brokenAt(dir, m, db, v) {
					found = append(found, fmt.Sprintf("moment %d, after %d operations (%v, %s database): %s", i, m.k, v, name, loss))
				}
				if first && len(found) > 0 {
					return found
				}
			}
		}
	}
	return found
}

// brokenAt starts a daemon on what a power cut left and checks everything.
func (tr *trace) brokenAt(dir string, m moment, db database, v record.Variant) (found []string) {
	path := filepath.Join(dir, "meta.db")
	must(tr.t, os.WriteFile(path, db.main, 0o600))
	must(tr.t, os.WriteFile(path+"-wal", db.wal, 0o600))
	must(tr.t, errors.Join(os.RemoveAll(path+"-shm")))
	b := newBench(tr.t, setup{backend: localOn(tr.t, tr.rec.CrashAt(m.k, v, uint64(m.k))), db: path})
	defer func() { must(tr.t, b.end()) }()
	b.restart("boot 2")
	if _, err := b.Settle(context.Background()); err != nil {
		found = append(found, "settle: "+err.Error())
	}
	for i, kept := range tr.promises[:m.answered] {
		if err := kept(b); err != nil {
			found = append(found, fmt.Sprintf("answer %d: %v", i, err))
		}
	}
	for uid, sent := range tr.sent {
		found = append(found, tr.wrongParts(b, uid, sent)...)
	}
	found = append(found, b.findings("boot 2")...)
	if v == record.Torn {
		for uid := range tr.sent {
			if err := tr.resume(b, uid); err != nil {
				found = append(found, "go on with the upload: "+err.Error())
			}
		}
		found = append(found, b.findings("boot 2")...)
	}
	return found
}

// resume sends what is missing, as a client does, and commits.
func (tr *trace) resume(b *bench, uid protocol.UID) error {
	ctx, content := context.Background(), tr.content[uid]
	u, err := b.Upload(ctx, owner, uid)
	if protocol.KindOf(err) == protocol.KindNotFound || u.State == protocol.UploadCommitted || tr.aborted[uid] {
		return nil
	}
	held := map[protocol.PartNumber]protocol.XXH3{}
	for _, p := range u.Parts {
		held[p.Number] = p.XXH3
	}
	for off := 0; err == nil && off < len(content); off += block {
		n, p := protocol.PartNumber(off/block+1), content[off:min(off+block, len(content))]
		if held[n] != protocol.SumXXH3(p) {
			_, err = b.PutPart(ctx, owner, uid, n, body(p))
		}
	}
	if err == nil {
		_, _, err = b.Commit(ctx, owner, uid, protocol.CommitUpload{Size: ptr(int64(len(content)))})
	}
	if err == nil {
		err = reads(uid, content)(b)
	}
	return err
}

// wrongParts lists the parts of an upload, as a client that resumes does, and
// gives those whose bytes are none that were sent.
func (tr *trace) wrongParts(b *bench, uid protocol.UID, sent map[protocol.PartNumber][][]byte) (found []string) {
	if _, err := b.Upload(context.Background(), owner, uid); err != nil {
		if protocol.KindOf(err) != protocol.KindNotFound {
			found = append(found, "list parts: "+err.Error())
		}
		return found
	}
	parts, _, err := b.db.Parts(context.Background(), owner, uid)
	if err != nil {
		return nil // committed
	}
	for _, p := range parts {
		got, err := b.bytes(p.Key, p.BlobOffset, p.Length)
		if err != nil || !slices.ContainsFunc(sent[p.Number], func(s []byte) bool { return bytes.Equal(s, got) }) {
			found = append(found, fmt.Sprintf("part %d is listed and wrong (%v)", p.Number, err))
		}
	}
	return found
}

// TestPowerCut: at every operation of a traced put, whatever of the unsynced
// is lost, all that was answered holds.
func TestPowerCut(t *testing.T) {
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variants := []record.Variant{record.Torn} // first: after it the upload goes on too
			if !raced {
				variants = append(variants, record.Variants()...)
			}
			for _, loss := range run(t, record.New(), scenario).broken(variants, false) {
				t.Error(loss)
			}
		})
	}
}

// TestPowerCutNoticesEachSync is the negative control: with one sync left out,
// the test above must fail.
func TestPowerCutNoticesEachSync(t *testing.T) {
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kinds := map[record.Kind]int{}
			for _, op := range run(t, record.New(), scenario).rec.Log() {
				kinds[op.Kind]++
			}
			for _, kind := range []record.Kind{record.SyncFile, record.SyncDir} {
				if kinds[kind] == 0 {
					t.Errorf("no %s at all", kind)
				}
				for n := range kinds[kind] {
					if raced && n > 0 {
						break
					}
					rec := record.New()
					nth := record.Nth(kind, n+1, errGone)
					rec.DropSyncs(func(op record.Op) bool { return nth(op) != nil })
					if len(run(t, rec, scenario).broken([]record.Variant{record.Lost}, true)) == 0 {
						t.Errorf("%s number %d may be left out and nothing is lost", kind, n+1)
					}
				}
			}
		})
	}
}
