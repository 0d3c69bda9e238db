package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

// outcome is what became of one item of a verb: the value that both the text
// and the JSON form of a result are made of.
type outcome struct {
	op   string
	kind transfer.Direction
	place
	transfer.Result
	// sized says that Size means something although the item failed.
	sized bool
	err   error
}

// place is where a batch asks for an item: the number of the line, 0 outside of
// a batch, and the line's id, "" for none.
type place struct {
	number int
	id     string
}

// resultLine is one line of --json (WIRE 12). What is not known is null.
type resultLine struct {
	V            int              `json:"v"`
	Type         string           `json:"type"`
	Op           string           `json:"op"`
	OK           bool             `json:"ok"`
	Path         *string          `json:"path"`
	UID          *protocol.UID    `json:"uid"`
	Name         *string          `json:"name"`
	Size         *int64           `json:"size"`
	Digest       *protocol.Digest `json:"digest"`
	Outcome      transfer.Outcome `json:"outcome"`
	SentBytes    int64            `json:"sent_bytes"`
	ResumedBytes int64            `json:"resumed_bytes"`
	Verified     bool             `json:"verified"`
	Retries      int              `json:"retries"`
	ElapsedMS    int64            `json:"elapsed_ms"`
	Transfer     *transfer.ID     `json:"transfer"`
	Error        *errorLine       `json:"error"`
	// Would is there with --dry-run only, the plain hashes only where they were
	// asked for, the place only for a line of a batch.
	Would  transfer.Outcome `json:"would,omitempty"`
	SHA256 string           `json:"sha256,omitempty"`
	MD5    string           `json:"md5,omitempty"`
	Line   int              `json:"line,omitempty"`
	ID     string           `json:"id,omitempty"`
}

// errorLine is the error member of a resultLine.
type errorLine struct {
	Code      protocol.Kind `json:"code"`
	Exit      int           `json:"exit"`
	Message   string        `json:"message"`
	Hint      *string       `json:"hint"`
	RequestID *string       `json:"request_id"`
	Retryable bool          `json:"retryable"`
}

// summaryLine is the last line of --json (WIRE 12).
type summaryLine struct {
	V            int    `json:"v"`
	Type         string `json:"type"`
	OK           bool   `json:"ok"`
	Exit         int    `json:"exit"`
	Items        int    `json:"items"`
	Done         int    `json:"done"`
	Failed       int    `json:"failed"`
	Bytes        int64  `json:"bytes"`
	SentBytes    int64  `json:"sent_bytes"`
	ResumedBytes int64  `json:"resumed_bytes"`
	InstantBytes int64  `json:"instant_bytes"`
	ElapsedMS    int64  `json:"elapsed_ms"`
	// What follows is of a batch only: of the items that are done those that
	// an earlier run did or that were to be left as they were, and the lines
	// that were not begun, which are no items.
	Skipped  *int `json:"skipped,omitempty"`
	NotBegun *int `json:"not_begun,omitempty"`
}

// task is how messages call what was to be done.
func (o outcome) task() string {
	if o.number == 0 {
		return o.op
	}
	return fmt.Sprintf("line %d: %s", o.number, o.op)
}

// line is the JSON form of an outcome.
func (o outcome) line() resultLine {
	l := resultLine{V: 1, Type: "result", Op: o.op, OK: o.err == nil, Path: orNull(o.Path), UID: orNull(o.UID),
		Name: orNull(o.Name), Digest: o.Digest, Outcome: o.Outcome, SentBytes: o.SentBytes, ResumedBytes: o.ResumedBytes,
		Verified: o.Verified, Retries: o.Retries, ElapsedMS: o.Elapsed.Milliseconds(), Transfer: orNull(o.Transfer),
		Would: o.Would, SHA256: o.SHA256, MD5: o.MD5, Line: o.number, ID: o.id}
	if o.sized || o.Size > 0 {
		l.Size = &o.Size
	}
	if o.err != nil {
		l.Outcome = transfer.Failed
		l.Error = errorOf(o.err)
	}
	return l
}

// subject names the item in messages: as the command line did.
func (o outcome) subject() string {
	byUID := o.op == opGet || o.op == opCat || o.op == opRemove
	switch {
	case o.Path != "" && !byUID:
		return o.Path
	case o.UID != 0:
		return o.UID.String()
	}
	return string(o.Transfer)
}

// orNull is a pointer to v, nil for the zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func errorOf(err error) *errorLine {
	kind := protocol.KindOf(err)
	l := &errorLine{Code: kind, Exit: exitOf(err), Message: err.Error(), Retryable: kind.Row().Retryable}
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		l.Hint, l.RequestID = orNull(e.Hint), orNull(e.RequestID)
	}
	return l
}

// requestID is what to quote of err, "" where no daemon answered.
func requestID(err error) string {
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		return e.RequestID
	}
	return ""
}

// marshal is the line as JSON, without its newline.
func marshal(line any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(line); err != nil {
		panic(err) // only of a type that has no JSON form: a mistake in this package
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// explain is the text form of an error: what happened on the first line, then
// what to do next and what to quote when asking for help.
func explain(op, subject string, err error) string {
	text := "osp: "
	if where := strings.TrimSpace(op + " " + clean(subject)); where != "" {
		text += where + ": "
	}
	text += clean(err.Error())
	l := errorOf(err)
	if l.Hint != nil {
		text += "\n  try:  " + clean(*l.Hint)
	}
	if l.RequestID != nil {
		text += "\n  request " + clean(*l.RequestID) + ", code " + clean(string(l.Code))
	}
	return text
}

// stopped replaces an error that is only the consequence of the whole command
// having been stopped by the reason for the stop. Any other failure is kept.
func stopped(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	reason, ok := errors.AsType[*protocol.Error](context.Cause(ctx))
	if ok && (errors.Is(err, ctx.Err()) || errors.Is(err, reason) || protocol.KindOf(err).Row().Retryable) {
		return reason
	}
	return err
}

// advised adds to the error of an item the command that continues: for all that
// a stop ended, and for what another try can mend. How far the item was is not
// said: what of the requests cut short counts, only the next run finds out.
func (o outcome) advised(resume func(transfer.ID) string, again string) error {
	e, ok := errors.AsType[*protocol.Error](o.err)
	if !ok || !e.Kind.Row().Retryable {
		return o.err
	}
	advised := *e
	advised.Message, advised.Op, advised.Err = o.err.Error(), "", nil
	switch {
	case o.Transfer != "":
		advised.Hint = resume(o.Transfer)
	case e.Kind == protocol.KindInterrupted, e.Kind == protocol.KindTerminated, e.Kind == protocol.KindTimeout:
		advised.Hint = again
	}
	return &advised
}

// detail is what -v says of an item that is done.
func (o outcome) detail() string {
	parts := []string{string(o.Outcome)}
	if o.op == opHash {
		parts = nil // it moves nothing
	}
	if o.sized {
		parts = append(parts, fmt.Sprintf("%s in %s", bytesText(o.Size), elapsedText(o.Elapsed)))
	}
	if o.SentBytes > 0 {
		parts = append(parts, bytesText(o.SentBytes)+" moved")
	}
	if o.ResumedBytes > 0 {
		parts = append(parts, bytesText(o.ResumedBytes)+" were there")
	}
	if o.SHA256 != "" && o.op != opHash {
		parts = append(parts, "SHA-256 "+o.SHA256)
	}
	if o.ClaimRefused {
		parts = append(parts, "may be known to the daemon, but the claim was refused")
	}
	if o.Retries > 0 {
		parts = append(parts, fmt.Sprintf("requests tried again: %d", o.Retries))
	}
	return fmt.Sprintf("osp: %s %s: %s", o.task(), clean(o.subject()), strings.Join(parts, ", "))
}

// bytesText prints a number of bytes for people: 3.1 GiB.
func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// elapsedText prints a duration for people: 16.8s.
func elapsedText(d time.Duration) string {
	if d < 100*time.Millisecond {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
