package batch

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Types of the lines of a journal: one header, then begins and ends.
const (
	typeJournal = "journal"
	typeBegin   = "begin"
	typeEnd     = "end"
)

// journalVersion is the version of a journal's form. Fields are only ever
// added; an osp leaves a journal of a newer version alone.
const journalVersion = 1

// header is the first line of a journal: what it is the journal of.
type header struct {
	V    int    `json:"v"`
	Type string `json:"type"`
	// ID is of this journal alone; the Idempotency-Keys of its lines begin with it.
	ID string `json:"id"`
	// Batch is the SHA-256 of the batch's text, Lines the number of its last line.
	Batch string `json:"batch"`
	Lines int    `json:"lines"`
	// ServerID is the daemon's own, whatever address it has.
	ServerID string `json:"server_id"`
	// Dir is the folder that paths of the batch are relative to, nil where none is.
	Dir     *string       `json:"dir"`
	Created protocol.Time `json:"created"`
}

// begin says that a line is about to be worked on, or, with a uid, that it
// began an upload.
type begin struct {
	Type string        `json:"type"`
	Line int           `json:"line"`
	UID  *protocol.UID `json:"uid"`
	At   protocol.Time `json:"at"`
}

// End says how a line ended: everything that a later run repeats of it.
type End struct {
	Type    string           `json:"type"`
	Line    int              `json:"line"`
	ID      *string          `json:"id"`
	Op      Op               `json:"op"`
	OK      bool             `json:"ok"`
	Outcome string           `json:"outcome"`
	Path    *string          `json:"path"`
	UID     *protocol.UID    `json:"uid"`
	Name    *string          `json:"name"`
	Size    *int64           `json:"size"`
	Digest  *protocol.Digest `json:"digest"`
	// Code is the kind of the error of a line that failed.
	Code *protocol.Kind `json:"code"`
	At   protocol.Time  `json:"at"`
}

// Past is what earlier runs did about a line.
type Past struct {
	// Done says that the line is done, Failed that it was begun and is not.
	Done, Failed bool
	// Open says that the line was begun and nobody knows whether the daemon
	// carried it out: its run was killed, or had no answer. Since is when.
	Open  bool
	Since protocol.Time
	// UID is the upload that a put began, 0 for none.
	UID protocol.UID
}

// state is a Past as it is kept for each of a million lines.
type state struct {
	uid   protocol.UID
	since int64 // in milliseconds since 1970
	// end is where the journal has the End of a line that is done.
	end int64
	// keys counts the Idempotency-Keys that are used up.
	keys               uint32
	done, failed, open bool
	// before says that the line was open when its last try began.
	before bool
}

func (s state) past() Past {
	return Past{Done: s.done, Failed: s.failed, Open: s.open, Since: protocol.TimeOf(time.UnixMilli(s.since)), UID: s.uid}
}

// begin adds a begin.
func (s *state) begin(b begin) {
	s.failed = true
	if b.UID == nil {
		s.before = s.open
	}
	if !s.open {
		s.open, s.since = true, b.At.UnixMilli()
	}
	if b.UID != nil {
		s.uid = *b.UID
	}
}

// settle adds an end, which is at offset in the journal.
func (s *state) settle(e End, offset int64) {
	if e.OK {
		s.done, s.failed, s.open, s.end = true, false, false, offset
		return
	}
	s.failed, s.open = true, e.undecided() || s.before && e.blind()
	if e.Code != nil && *e.Code == protocol.KindConflict {
		// An earlier try stored what the file was then. The caller has been
		// told; the next try is for the file as it is then.
		s.keys++
		s.uid = 0
	}
}

// undecided reports whether the daemon may have done what the line asked for
// although the line failed: it never answered, or said that it does not know.
func (e End) undecided() bool {
	if e.Code == nil {
		return true
	}
	row := e.Code.Row()
	return row.Status >= 500 || row.Status == 0 && row.Retryable
}

// blind reports whether a failure says nothing of what an earlier try came to:
// this one ended here, or the daemon turned it away, before the daemon looked.
func (e End) blind() bool {
	switch e.Code.Row().Status {
	case 0, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return true
	}
	return false
}

// maxRecord bounds a line of the journal, in bytes: the longest path of any
// system fits in it, with every byte escaped.
const maxRecord = 2 * MaxLine

// replay reads a journal of subject. It gives the header, the state of each line
// by its number, and where the last whole line ends: what follows is a line that
// a kill or a power cut tore. One that ends within its header is
// io.ErrUnexpectedEOF.
func replay(r io.Reader, subject Subject) (h header, lines []state, whole int64, err error) {
	in := bufio.NewReaderSize(r, maxRecord)
	for number := 1; ; number++ {
		text, err := in.ReadSlice('\n')
		switch {
		case err == io.EOF && number == 1 && couldBeHeader(text):
			return h, nil, 0, io.ErrUnexpectedEOF
		case err == io.EOF && number > 1:
			return h, lines, whole, nil
		case number == 1 && (err == io.EOF || err == bufio.ErrBufferFull):
			err = errNoJournal
		case err == bufio.ErrBufferFull:
			err = damaged(number, errors.New("it is too long"))
		case err == nil && number == 1:
			if h, err = readHeader(text, subject); err == nil {
				lines = make([]state, h.Lines+1)
			}
		case err == nil:
			if err = add(lines, text, whole); err != nil {
				err = damaged(number, err)
			}
		}
		if err != nil {
			return h, nil, 0, err
		}
		whole += int64(len(text))
	}
}

var errNoJournal = errors.New("it is no journal of osp run")

// headerStart is how every header begins.
const headerStart = `{"v":1,"type":"journal","id":"`

// couldBeHeader reports whether text is what a torn header looks like.
func couldBeHeader(text []byte) bool {
	n := min(len(text), len(headerStart))
	return string(text[:n]) == headerStart[:n]
}

func damaged(number int, err error) error {
	return &protocol.Error{Kind: protocol.KindUsage, Message: fmt.Sprintf("its line %d is damaged", number), Err: err,
		Hint: "Repair that line of the journal, or remove it: what it says was done is then done again."}
}

func readHeader(text []byte, s Subject) (h header, err error) {
	var version struct {
		V    int
		Type string
	}
	if json.Unmarshal(text, &version) != nil || version.V < 1 || version.Type != typeJournal {
		return h, errNoJournal
	}
	if version.V > journalVersion {
		return h, badf("it has version %d, and this osp knows up to %d", version.V, journalVersion)
	}
	if err := json.Unmarshal(text, &h); err != nil || h.ID == "" {
		return h, errNoJournal
	}
	return h, s.same(h)
}

// add reads one line after the header, which is at offset.
func add(lines []state, text []byte, offset int64) error {
	var kind struct {
		Type string
		Line int
	}
	if err := json.Unmarshal(text, &kind); err != nil {
		return err
	}
	if kind.Line < 1 || kind.Line >= len(lines) {
		return fmt.Errorf("the batch has no line %d", kind.Line)
	}
	s := &lines[kind.Line]
	switch kind.Type {
	case typeBegin:
		var b begin
		if err := json.Unmarshal(text, &b); err != nil {
			return err
		}
		s.begin(b)
	case typeEnd:
		var e End
		if err := json.Unmarshal(text, &e); err != nil {
			return err
		}
		s.settle(e, offset)
	default:
		return fmt.Errorf("%.40q is not a type of line", kind.Type)
	}
	return nil
}

// Subject is what a journal is of. A journal of another subject is refused:
// what it calls done would not be.
type Subject struct {
	Batch *Batch
	// ServerID is the daemon's, "" to take any.
	ServerID string
	// Dir is the current folder.
	Dir string
}

func (s Subject) header(id string, now protocol.Time) header {
	h := header{V: journalVersion, Type: typeJournal, ID: id, Batch: hex.EncodeToString(s.Batch.sum[:]), Lines: s.Batch.last,
		ServerID: s.ServerID, Created: now}
	if s.Batch.relative {
		h.Dir = &s.Dir
	}
	return h
}

func (s Subject) same(h header) error {
	own := s.header(h.ID, h.Created)
	switch {
	case h.Batch != own.Batch || h.Lines != own.Lines:
		return badf("it is the journal of another batch (begun %s, %d lines), or this one was changed since", h.Created, h.Lines)
	case s.ServerID != "" && h.ServerID != s.ServerID:
		return badf("it is of another daemon (%s; this one is %s)", h.ServerID, s.ServerID)
	case own.Dir != nil && h.Dir != nil && *own.Dir != *h.Dir:
		return badf("it was begun in the folder %s, and paths in the batch are relative to that", *h.Dir)
	}
	return nil
}

// lineOf is v as a line of the journal.
func lineOf(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
