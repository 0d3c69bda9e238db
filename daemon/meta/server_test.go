package meta_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
)

// Two databases of the tests are two installations, though they are copies of
// one: else a store would take one for the other.
func TestDatabasesOfTestsAreTwoInstallations(t *testing.T) {
	var ids [2]string
	for i := range ids {
		db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db")})
		id, err := db.ServerID(t.Context())
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		ids[i] = id
	}
	if ids[0] == ids[1] || ids[0] == "" {
		t.Errorf("their ids are %q", ids)
	}
}
