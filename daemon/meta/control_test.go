//go:build servers && !postgres

// What a model notices is the same wherever metadata is, and whoever runs it:
// `make test-model` does.

package meta_test

import (
	"flag"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
)

// edit is a piece of a statement, and what takes its place.
type edit struct{ piece, instead string }

// never is a condition that no row meets.
func never(piece string) edit {
	return edit{piece, strings.Replace(piece, " WHERE ", " WHERE 1 = 0 AND ", 1)}
}

// Without one of its checks the database breaks a promise, and the model must
// notice: else it proves nothing.
func TestModelFindsAMissingCheck(t *testing.T) {
	control(t, metatest.Model, map[string][]edit{
		"an extent uses the blob":      {never(`SELECT 1 FROM extents WHERE blob_id = ?`)},
		"a part uses the blob":         {never(`SELECT 1 FROM parts WHERE blob_id = ?`)},
		"an open upload uses the blob": {never(`SELECT 1 FROM uploads WHERE blob_id = ?`)},
		"an open upload writes the blob": {
			never(`SELECT 1 FROM files WHERE uid = blobs.owner_id AND state = 'open'`),
			never(`SELECT 1 FROM files WHERE uid = ? AND state = 'open'`),
		},
		"a job writes the blob": {
			never(`SELECT 1 FROM jobs WHERE id = blobs.owner_id AND state IN`),
			never(`SELECT 1 FROM jobs WHERE id = ? AND state IN`),
		},
		"a request writes the blob": {
			{`owner_id = 0 AND created_at <= ?`, `owner_id = 0 AND 0 <= CAST(? AS BIGINT)`},
			{`SELECT owner_kind, owner_id, created_at FROM`, `SELECT owner_kind, owner_id, 0 FROM`},
		},
		"what is let go of is offered":     {never(`SELECT id, CAST(? AS BIGINT) FROM blobs WHERE id = ?`)},
		"a file points to the content":     {never(`SELECT 1 FROM files WHERE content_id = ?`)},
		"another's findings are no answer": {{`CASE WHEN f.digest_due IS NULL THEN c.md5 WHEN f.md5_agrees = 1 THEN f.md5_said END`, `c.md5`}},
		"a damaged content is not claimed": {{`AND c.state = 'live' AND c.digest`, `AND c.digest`}},
	})
}

// The same of what jobs are held to.
func TestJobModelFindsAMissingCheck(t *testing.T) {
	control(t, metatest.JobModel, map[string][]edit{
		"a lost lease keeps nothing":       {{`WHERE id = ? AND fence = ? AND state = 'running' RETURNING cancel`, `WHERE id = ? AND ? <= fence AND state = 'running' RETURNING cancel`}},
		"a lost lease writes nothing":      {{`WHERE id = ? AND fence = ? AND state = 'running' FOR UPDATE`, `WHERE id = ? AND ? <= fence AND state = 'running' FOR UPDATE`}},
		"each lease raises the fence":      {{`fence = fence + 1`, `fence = fence + 0`}},
		"an attempt counts when it begins": {{`attempts = attempts + 1, started_at`, `attempts = attempts + 0, started_at`}},
		"one about a subject runs":         {{`other.subject = jobs.subject AND`, `other.subject = 'x' AND`}},
		"what is not due waits":            {{`AND node = ? AND run_at <= ?`, `AND node = ? AND 0 <= CAST(? AS BIGINT)`}},
		"a lease that lasts is not taken":  {{`AND kind = ? AND lease_until <= ?`, `AND kind = ? AND 0 <= CAST(? AS BIGINT)`}},
		"a failure is not got round":       {{`run_at > ? AND attempts = 0 THEN`, `run_at > ? AND attempts >= 0 THEN`}},
	})
}

// control runs the model on databases that lack one of their checks each, with
// the same sequences each time: that a model can notice is what is shown, and not
// how lucky it is.
func control(t *testing.T, model func(t testing.TB, found rapid.TB, open metatest.Open), checks map[string][]edit) {
	setFlag(t, "rapid.nofailfile", "true")
	setFlag(t, "rapid.shrinktime", "0s")
	setFlag(t, "rapid.seed", "3")
	setFlag(t, "rapid.checks", "2000")
	setFlag(t, "rapid.steps", "50")
	empty := empties(t)
	for name, edits := range checks {
		t.Run(name, func(t *testing.T) {
			x := &edited{edits: edits, empty: empty, texts: map[string]bool{}, made: map[edit]bool{}}
			noticed := metatest.Noticed(t, func(found rapid.TB) { model(t, found, x.open) })
			x.check(t)
			if noticed == "" {
				t.Error("the model did not notice")
			}
		})
	}
}

// edited opens databases without one of their checks.
type edited struct {
	edits []edit
	empty func(t testing.TB, clock func() time.Time) meta.Config
	mu    sync.Mutex
	texts map[string]bool
	made  map[edit]bool
}

func (x *edited) open(t testing.TB, clock func() time.Time) *meta.DB {
	db, err := meta.OpenEdited(t.Context(), x.empty(t, clock), x.edit)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func (x *edited) edit(text string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.edits {
		if strings.Contains(text, e.piece) {
			text = strings.Replace(text, e.piece, e.instead, 1)
			x.texts[text], x.made[e] = true, true
		}
	}
	return text
}

// check holds the control: the check was asked, and what took its place is a
// statement too, which fails nothing by itself.
func (x *edited) check(t *testing.T) {
	for _, e := range x.edits {
		if !x.made[e] {
			t.Errorf("this is not asked any more: %s", e.piece)
		}
	}
	db := (&edited{empty: x.empty}).open(t, time.Now)
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for text := range x.texts {
		if _, err := db.Explain(t.Context(), text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
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
