package intake

import (
	"context"
	"encoding/base64"
	"strconv"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	defaultPage = 1000
	maxPage     = 1000
)

// ManifestRecords is what Manifests need of the metadata; meta.DB is the one.
type ManifestRecords interface {
	Job(ctx context.Context, owner protocol.Owner, id protocol.JobID) (meta.Job, error)
	Manifest(ctx context.Context, job protocol.JobID, first int64, limit int) ([]meta.ImportEntry, error)
}

// Manifests tell what imports did. They are safe for concurrent use.
type Manifests struct{ records ManifestRecords }

// NewManifests makes Manifests.
func NewManifests(records ManifestRecords) *Manifests { return &Manifests{records} }

// Page is a page of the manifest of an import that the caller may see; else it
// is KindNotFound. While the import runs there is a next page always.
func (m *Manifests) Page(ctx context.Context, caller job.Caller, id protocol.JobID, limit int, cursor string) (page protocol.Manifest, err error) {
	if limit == 0 {
		limit = defaultPage
	}
	if limit < 1 || limit > maxPage {
		return page, protocol.Errorf(protocol.KindBadRequest, "a limit is 1 to %d, this one is %d", maxPage, limit)
	}
	first, err := parseCursor(cursor)
	if err != nil {
		return page, err
	}
	// Whether it has ended is asked before: then all entries are there after.
	j, err := m.records.Job(ctx, caller.Reach(), id)
	if err != nil {
		return page, err
	}
	if j.Kind != protocol.JobImport {
		return page, protocol.Errorf(protocol.KindNotFound, "job %s is of kind %s and has no manifest; that of an import has", id, j.Kind)
	}
	entries, err := m.records.Manifest(ctx, id, first, limit)
	if err != nil {
		return page, err
	}
	for _, e := range entries {
		page.Entries = append(page.Entries, wire(e))
	}
	if len(entries) == limit || !j.State.Ended() {
		next := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(first+int64(len(entries)), 10)))
		page.Next = &next
	}
	return page, nil
}

func parseCursor(cursor string) (first int64, err error) {
	if cursor == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		first, err = strconv.ParseInt(string(b), 10, 64)
	}
	if err != nil || first < 0 {
		return 0, &protocol.Error{Kind: protocol.KindBadRequest, Message: "the cursor is not one of ours",
			Hint: "Pass the value of \"next\" from the page before, unchanged."}
	}
	return first, nil
}

func wire(e meta.ImportEntry) protocol.ManifestEntry {
	w := protocol.ManifestEntry{Path: e.Path, Size: e.Size, Outcome: e.Outcome}
	if e.UID != 0 {
		w.UID = &e.UID
	}
	if e.Error != "" {
		w.Error = &e.Error
	}
	return w
}
