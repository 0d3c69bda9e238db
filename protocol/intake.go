package protocol

import "encoding/json"

// ImportOutcome is what became of an object of an import.
type ImportOutcome string

// The outcomes there are.
const (
	// ImportImported: a file was made of it.
	ImportImported ImportOutcome = "imported"
	// ImportAlready: a file had been made of it before.
	ImportAlready ImportOutcome = "already"
	// ImportFailed: there is no file of it.
	ImportFailed ImportOutcome = "failed"
)

// ManifestEntry is one object of an import: a line of the manifest that
// `osp admin import` prints.
type ManifestEntry struct {
	// Path is the object's: its name in the store, or where it is in the folder.
	// Bytes that are no UTF-8 are spelled \xNN.
	Path string `json:"path"`
	// UID is the file's, nil where there is none.
	UID     *UID          `json:"uid"`
	Size    int64         `json:"size"`
	Outcome ImportOutcome `json:"outcome"`
	// Error says why there is none, nil where there is.
	Error *string `json:"error"`
}

// Manifest is the answer of GET /v1/jobs/{id}/manifest[?limit=&cursor=]: what an
// import did so far, in order.
type Manifest struct {
	Entries []ManifestEntry `json:"entries"`
	// Next is the cursor of what comes after these. While the import has not
	// ended there always is one; then it is nil on the last page.
	Next *string `json:"next"`
}

// MarshalJSON makes nil Entries an empty list.
func (m Manifest) MarshalJSON() ([]byte, error) {
	type plain Manifest
	m.Entries = list(m.Entries)
	return json.Marshal(plain(m))
}
