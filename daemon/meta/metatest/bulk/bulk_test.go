package bulk_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/meta/metatest/bulk"
	"github.com/osproxy/osproxy/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(metatest.OnServer(m)) }

const owner protocol.Owner = "bulk"

func contentOf(n int64) (d protocol.Digest, f protocol.Fingerprint) {
	binary.BigEndian.PutUint64(d[:], uint64(n))
	binary.BigEndian.PutUint64(f[:], uint64(n))
	return d, f
}

// TestFilled: to the verbs the files are as if they had been put, and what is
// put after them gets along with them.
func TestFilled(t *testing.T) {
	cfg := metatest.Located(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db")})
	files := bulk.Files{
		Owner: owner, Store: "disk", Size: 100, Content: contentOf,
		Name: func(n int64) string { return fmt.Sprintf("file-%d", n) }, Key: func(n int64) string { return fmt.Sprintf("%032x", n) },
	}
	// Twice, so that one goes on where another ended.
	for _, to := range []int64{12_000, 12_500} {
		use(t, cfg, func(*meta.DB) {})
		first := int64(1)
		if to > 12_000 {
			first = 12_002 // one was put
		}
		fill := func() error { return files.SQLite(t.Context(), cfg.Path, first, to) }
		if cfg.URL != "" {
			fill = func() error { return files.Postgres(t.Context(), cfg.URL, first, to) }
		}
		if err := fill(); err != nil {
			t.Fatal(err)
		}
		use(t, cfg, func(db *meta.DB) { look(t, db, to) })
	}
}

func use(t *testing.T, cfg meta.Config, do func(*meta.DB)) {
	t.Helper()
	db, err := meta.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	do(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// look looks at the files through the verbs, and puts one more.
func look(t *testing.T, db *meta.DB, last int64) {
	t.Helper()
	ctx := t.Context()
	drifts, err := db.CheckQuotas(ctx)
	if err := errors.Join(err, db.CheckDatabase(ctx)); err != nil || len(drifts) > 0 {
		t.Fatalf("%+v, %v", drifts, err)
	}
	digest, fingerprint := contentOf(last)
	f, c, err := db.Content(ctx, owner, protocol.UID(last))
	if err != nil || f.Name != fmt.Sprintf("file-%d", last) || f.Digest == nil || *f.Digest != digest || len(c.Extents) != 1 || c.Extents[0].Length != 100 {
		t.Errorf("file %d is %+v, %+v, %v", last, f, c, err)
	}
	if may, err := db.MayHave(ctx, owner, meta.ScopeOwner, 100, fingerprint); err != nil || !may {
		t.Errorf("its fingerprint is known: %v, %v", may, err)
	}
	if due, err := db.DueDigests(ctx, 10); err != nil || len(due) > 0 && due[0].UID <= protocol.UID(12_000) {
		t.Errorf("digests are due: %v, %v", due, err)
	}
	next := last + 1
	digest, fingerprint = contentOf(next)
	if _, err := db.PutFile(ctx, meta.NewFile{FileFields: meta.FileFields{Owner: owner, Name: "put"}, UID: protocol.UID(next), CommittedAt: time.Now(),
		Size: 100, Digest: digest, Fingerprint: fingerprint, ETag: `"x"`, Blocks: make([]protocol.Block, 1),
		Blob: &meta.NewBlob{Store: "disk", Key: fmt.Sprintf("%032x", next), Size: 100}}, nil); err != nil {
		t.Error(err)
	}
	if used, err := db.Usage(ctx, owner); err != nil || used.Files != next {
		t.Errorf("%+v are used, %v", used, err)
	}
}
