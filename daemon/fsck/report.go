package fsck

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// Kind is what a finding says is wrong.
type Kind string

// The kinds of findings.
const (
	// KindDatabase: the database file is damaged, or rows refer to rows that
	// are not there.
	KindDatabase Kind = "database"
	// KindStore: a store that blobs are in cannot be checked.
	KindStore Kind = "store"
	// KindExtra: an object without a row.
	KindExtra Kind = "extra_object"
	// KindStray: a name in a store that is no object of ospd's.
	KindStray Kind = "stray"
	// KindMissing: a blob with bytes in use has no object.
	KindMissing Kind = "missing_object"
	// KindTruncated: an object ends before the bytes in use do.
	KindTruncated Kind = "truncated_object"
	// KindOverlong: an object goes on behind the blob's end, and nothing is going
	// to cut it.
	KindOverlong Kind = "overlong_object"
	// KindUnreferenced: nothing refers to a blob or content, and nothing is
	// going to remove it.
	KindUnreferenced Kind = "unreferenced"
	// KindDoomed: something refers to what is about to be removed.
	KindDoomed Kind = "doomed_in_use"
	// KindExtents: the extents of a content are not the content.
	KindExtents Kind = "extents"
	// KindRecords: the block digests recorded of a content are not all there
	// or do not give its digest.
	KindRecords Kind = "block_records"
	// KindDamaged: a read found damage earlier; nothing has healed it since.
	KindDamaged Kind = "marked_damaged"
	// KindMD5: a file has another MD5 than who put it said, and is not read.
	KindMD5 Kind = "md5_differs"
	// KindCorrupt: bytes read differ from what was recorded of them.
	KindCorrupt Kind = "corrupt"
	// KindPart: a part of an open upload is recorded and its bytes are not
	// there, or are others.
	KindPart Kind = "part"
)

// Finding is something that breaks a promise.
type Finding struct {
	Kind Kind `json:"kind"`
	// UIDs are the files and open uploads that are hurt.
	UIDs []protocol.UID `json:"uids"`
	// Store and Key name the object, "" where it is not one object's fault.
	Store  string `json:"store"`
	Key    string `json:"key"`
	Detail string `json:"detail"`
}

// Pending is what a crash or a deletion left and the daemon will settle.
type Pending struct {
	Store  string `json:"store"`
	Key    string `json:"key"`
	Detail string `json:"detail"`
}

// Counts say how much was looked at.
type Counts struct {
	Objects  int64 `json:"objects"`
	Blobs    int64 `json:"blobs"`
	Contents int64 `json:"contents"`
	Files    int64 `json:"files"`
	Parts    int64 `json:"parts"`
	// BlocksRead and BytesRead are 0 unless data was read.
	BlocksRead int64 `json:"blocks_read"`
	BytesRead  int64 `json:"bytes_read"`
}

// Report is the result of a check.
type Report struct {
	Findings []Finding `json:"findings"`
	Pending  []Pending `json:"pending"`
	// Unchecked are the stores that were not looked into.
	Unchecked []Unchecked `json:"unchecked"`
	Counts    Counts      `json:"counts"`
	// ReadData says whether the bytes themselves were compared.
	ReadData bool `json:"read_data"`
}

// Clean reports whether there is no finding. What is pending is no finding, nor is
// what was not checked.
func (r Report) Clean() bool { return len(r.Findings) == 0 }

// WriteJSON writes the report as one JSON object and a line feed. Its lists
// are never null.
func (r Report) WriteJSON(w io.Writer) error {
	r.Findings = append([]Finding{}, r.Findings...)
	for i := range r.Findings {
		r.Findings[i].UIDs = append([]protocol.UID{}, r.Findings[i].UIDs...)
	}
	r.Pending = append([]Pending{}, r.Pending...)
	r.Unchecked = append([]Unchecked{}, r.Unchecked...)
	return json.NewEncoder(w).Encode(r)
}

// WriteText writes the report for people: a line for each finding, then one
// for each thing pending and each store not checked, then what was looked at.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "FINDING  %s%s: %s\n", f.Kind, named(f.Store, f.Key, f.UIDs), f.Detail)
	}
	for _, p := range r.Pending {
		fmt.Fprintf(&b, "pending %s: %s\n", named(p.Store, p.Key, nil), p.Detail)
	}
	for _, u := range r.Unchecked {
		b.WriteString(u.text() + "\n")
	}
	c := r.Counts
	fmt.Fprintf(&b, "Checked %d objects, %d blobs, %d contents, %d files, %d parts of open uploads", c.Objects, c.Blobs, c.Contents, c.Files, c.Parts)
	if r.ReadData {
		fmt.Fprintf(&b, "; read %d blocks, %d bytes", c.BlocksRead, c.BytesRead)
	} else {
		b.WriteString("; their bytes were not read (--read-data does)")
	}
	fmt.Fprintf(&b, ".\n%s, %d pending%s.\n", r.verdict(), len(r.Pending), r.rest())
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict calls clean only what was checked as a whole.
func (r Report) verdict() string {
	switch n := len(r.Findings); {
	case n == 1:
		return "1 finding"
	case n > 1:
		return fmt.Sprintf("%d findings", n)
	case len(r.Unchecked) > 0:
		return "No findings in what was checked"
	}
	return "Clean: no findings"
}

func (r Report) rest() string {
	switch n := len(r.Unchecked); n {
	case 0:
		return ""
	case 1:
		return "; 1 store was NOT checked, as is said above"
	default:
		return fmt.Sprintf("; %d stores were NOT checked, as is said above", n)
	}
}

func named(store, key string, uids []protocol.UID) string {
	var b strings.Builder
	if store != "" || key != "" {
		fmt.Fprintf(&b, " %s:%s", store, key)
	}
	for i, uid := range uids {
		if i == 0 {
			b.WriteString(" uid")
		}
		b.WriteByte(' ')
		b.WriteString(uid.String())
	}
	return b.String()
}

// sort puts findings and pending in an order that does not depend on which
// worker came first.
func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		if c := strings.Compare(string(a.Kind), string(b.Kind)); c != 0 {
			return c
		}
		if c := slices.Compare(a.UIDs, b.UIDs); c != 0 {
			return c
		}
		return strings.Compare(a.Store+":"+a.Key+a.Detail, b.Store+":"+b.Key+b.Detail)
	})
	slices.SortStableFunc(r.Pending, func(a, b Pending) int {
		return strings.Compare(a.Store+":"+a.Key+a.Detail, b.Store+":"+b.Key+b.Detail)
	})
}
