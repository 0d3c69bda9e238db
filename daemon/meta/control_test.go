package meta_test

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
)

// Without one of its checks the database breaks a promise, and the model must
// notice: else it proves nothing.
func TestModelFindsAMissingCheck(t *testing.T) {
	setFlag(t, "rapid.nofailfile", "true")
	setFlag(t, "rapid.shrinktime", "0s")
	setFlag(t, "rapid.checks", "2000")
	setFlag(t, "rapid.steps", "50")
	empty := emptyDatabase(t)
	for name, check := range map[string]string{
		"an extent uses the blob":      `SELECT 1 FROM extents WHERE blob_id = ? LIMIT 1`,
		"a file points to the content": `SELECT 1 FROM files WHERE content_id = ? LIMIT 1`,
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Bool
			open := func(t testing.TB, clock func() time.Time) *meta.DB {
				path := filepath.Join(t.TempDir(), "meta.db")
				if err := os.WriteFile(path, empty, 0o600); err != nil {
					t.Fatal(err)
				}
				db, err := meta.OpenEdited(t.Context(), meta.Config{Path: path, Clock: clock}, func(text string) string {
					if text != check {
						return text
					}
					asked.Store(true)
					return strings.Replace(text, " WHERE ", " WHERE 1 = 0 AND ", 1)
				})
				if err != nil {
					t.Fatal(err)
				}
				return db
			}
			found := &verdict{TB: t}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				metatest.Model(t, found, open)
			}()
			<-ended
			if !asked.Load() {
				t.Errorf("the check is not asked any more: %s", check)
			}
			if !found.failed {
				t.Error("the model did not notice")
			}
		})
	}
}

func setFlag(t *testing.T, name, value string) {
	f := flag.Lookup(name)
	was := f.Value.String()
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Value.Set(was); err != nil {
			t.Error(err)
		}
	})
}

// verdict takes a failure without failing the test.
type verdict struct {
	rapid.TB
	failed bool
}

func (v *verdict) Logf(string, ...any)   {}
func (v *verdict) Log(...any)            {}
func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) Error(...any)          { v.failed = true }
func (v *verdict) Fail()                 { v.failed = true }
func (v *verdict) Failed() bool          { return v.failed }
func (v *verdict) Fatalf(string, ...any) { v.FailNow() }
func (v *verdict) Fatal(...any)          { v.FailNow() }

func (v *verdict) FailNow() {
	v.failed = true
	runtime.Goexit()
}
