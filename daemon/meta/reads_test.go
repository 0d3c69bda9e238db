package meta

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// putRead makes file 1 of owner o.
func putRead(t *testing.T, db *DB) {
	t.Helper()
	if _, err := db.PutFile(t.Context(), NewFile{FileFields: FileFields{Owner: "o", Name: "n"}, UID: 1, CommittedAt: time.Now(), Size: 5,
		Digest: protocol.Digest{1}, ETag: `"e"`, Blocks: make([]protocol.Block, 1), Blob: &NewBlob{Store: "disk", Key: "k", Size: 5}}, nil); err != nil {
		t.Fatal(err)
	}
}

// TestAReadingOutrunByAWrite: what a reader found before a write, and remembers
// after it, is not what the next one is given.
func TestAReadingOutrunByAWrite(t *testing.T) {
	for name, write := range map[string]func(*DB) error{
		"delete": func(db *DB) error { return db.DeleteFile(t.Context(), "o", 1) },
		"rename": func(db *DB) error {
			other := "other"
			_, err := db.PatchFile(t.Context(), "o", 1, FilePatch{Name: &other})
			return err
		},
		"damage": func(db *DB) error { return db.MarkDamaged(t.Context(), 1, 0) },
	} {
		if err := openClosed(t, filepath.Join(t.TempDir(), "meta.db"), func(db *DB) {
			putRead(t, db)
			type slow struct{}
			read, goOn := make(chan struct{}), make(chan struct{})
			db.watch = func(ctx context.Context, q query, fn func(query) error) error {
				err := fn(q)
				if ctx.Value(slow{}) != nil {
					read <- struct{}{}
					<-goOn
				}
				return err
			}
			ended := make(chan error)
			go func() {
				_, _, err := db.Content(context.WithValue(t.Context(), slow{}, true), "o", 1)
				ended <- err
			}()
			<-read
			if err := write(db); err != nil {
				t.Error(err)
			}
			close(goOn)
			if err := <-ended; err != nil {
				t.Errorf("%s: the one that read before: %v", name, err)
			}
			f, c, err := db.Content(t.Context(), "o", 1)
			if err == nil && f.Name == "n" && c.State == ContentLive {
				t.Errorf("%s: read as before it", name)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}

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
