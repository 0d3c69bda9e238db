package meta

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// The configuration's quota is for those owners who have none of their own.
func TestDefaultQuota(t *testing.T) {
	none := int64(0)
	db, err := Open(t.Context(), located(t, Config{Path: filepath.Join(t.TempDir(), "meta.db"), DefaultQuota: Quota{Files: &none}}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := db.SetQuotas(t.Context(), map[protocol.Owner]Quota{"own": {}}); err != nil {
		t.Fatal(err)
	}
	begin := func(owner protocol.Owner, uid protocol.UID) error {
		_, err := db.BeginUpload(t.Context(), NewUpload{FileFields: FileFields{Owner: owner, Name: "n"}, UID: uid, CreatedAt: time.Now(), PartSize: 1}, nil)
		return err
	}
	if err := begin("own", 1); err != nil {
		t.Error(err)
	}
	if err := begin("other", 2); protocol.KindOf(err) != protocol.KindQuotaExceeded {
		t.Errorf("got %v", err)
	}
	if err := db.SetQuotas(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := begin("own", 3); protocol.KindOf(err) != protocol.KindQuotaExceeded {
		t.Errorf("without its own quota: got %v", err)
	}
}
