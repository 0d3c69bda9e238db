package meta

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// TestReadsRememberWhatIsSmall: a file with more extents or text than its share
// of the memory is read from the database each time.
func TestReadsRememberWhatIsSmall(t *testing.T) {
	long := strings.Repeat("x", readText)
	tests := []struct {
		FileFields
		kept bool
	}{
		{FileFields{Name: "n", Meta: map[string]string{"k": "v"}}, true},
		{FileFields{Name: long}, true},
		{FileFields{Name: "n", MediaType: &long}, false},
		{FileFields{Name: "n", Meta: map[string]string{"k": long}}, false},
		{FileFields{Name: "n", Meta: map[string]string{"k": long[:readText/2], "l": long[:readText/2]}}, false},
	}
	if err := openClosed(t, filepath.Join(t.TempDir(), "meta.db"), func(db *DB) {
		for i, tt := range tests {
			uid := protocol.UID(i + 1)
			tt.Owner = "o"
			put, err := db.PutFile(t.Context(), NewFile{FileFields: tt.FileFields, UID: uid, CommittedAt: time.Now(), Size: 5,
				Digest: protocol.Digest{byte(uid)}, ETag: `"e"`, Blocks: make([]protocol.Block, 1),
				Blob: &NewBlob{Store: "disk", Key: fmt.Sprint(uid), Size: 5}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if f, c, err := db.Content(t.Context(), "o", uid); err != nil || !reflect.DeepEqual(f, put) || len(c.Extents) != 1 {
					t.Errorf("file %d: %+v with %+v, %v", uid, f, c, err)
				}
			}
			if _, kept := db.reads.get("o", uid); kept != tt.kept {
				t.Errorf("file %d is remembered: %v", uid, kept)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
}
