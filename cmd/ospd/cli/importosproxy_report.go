package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/daemon/predecessor"
)

// progressEvery is how often a terminal is told how far an import is.
const progressEvery = time.Second

// unprintedError is that of a standard output that does not take what is printed.
type unprintedError struct{ err error }

func (e *unprintedError) Error() string {
	return "what became of osproxy's rows cannot be printed: " + e.err.Error() +
		"\nWhat was imported stays; lines about Files that were made do not come again. Run it again with a standard output that takes them: it goes on."
}

// Unwrap gives the cause.
func (e *unprintedError) Unwrap() error { return e.err }

// osproxyReport prints how an import of osproxy's files goes.
type osproxyReport struct {
	out           printed
	terminal      io.Writer
	json, dryRun  bool
	started, told time.Time
}

func newOsproxyReport(e *env, o *importOsproxyOptions) *osproxyReport {
	r := &osproxyReport{out: printed{e.stdout}, json: o.json, dryRun: o.dryRun, started: time.Now()}
	if isTerminal(e.stderr) {
		r.terminal = e.stderr
	}
	return r
}

// printed is a standard output whose errors say that they are its.
type printed struct{ to io.Writer }

func (p printed) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	if err != nil {
		err = &unprintedError{err}
	}
	return n, err
}

// osproxyRow is what --json prints of a row.
type osproxyRow struct {
	V       int                 `json:"v"`
	Type    string              `json:"type"`
	UID     string              `json:"uid"`
	Name    string              `json:"name"`
	Object  string              `json:"object"`
	Outcome predecessor.Outcome `json:"outcome"`
	Message string              `json:"message"`
}

// row prints a row of which an operator should know.
func (r *osproxyReport) row(row predecessor.Row) error {
	uid := strconv.FormatInt(row.UID, 10)
	if r.json {
		return json.NewEncoder(r.out).Encode(osproxyRow{1, "row", uid, row.Name, row.Object, row.Outcome, row.Message})
	}
	_, err := fmt.Fprintf(r.out, "%s\t%s\t%s\n", uid, row.Outcome, row.Message)
	return err
}

// progress tells a terminal how far it is.
func (r *osproxyReport) progress(s predecessor.Summary) {
	if r.terminal == nil || time.Since(r.told) < progressEvery {
		return
	}
	r.told = time.Now()
	fmt.Fprintf(r.terminal, "%d of %d rows\n", s.Done, s.Rows)
}

// osproxySummary is the last line of --json.
type osproxySummary struct {
	V           int    `json:"v"`
	Type        string `json:"type"`
	OK          bool   `json:"ok"`
	DryRun      bool   `json:"dry_run"`
	Interrupted bool   `json:"interrupted"`
	Rows        int64  `json:"rows"`
	Done        int64  `json:"done"`
	Imported    int64  `json:"imported"`
	Already     int64  `json:"already"`
	Updated     int64  `json:"updated"`
	Deleted     int64  `json:"deleted"`
	Unfinished  int64  `json:"unfinished"`
	Missing     int64  `json:"missing"`
	OtherSize   int64  `json:"other_size"`
	Failed      int64  `json:"failed"`
	Changed     int64  `json:"changed"`
	Renamed     int64  `json:"renamed"`
	Doubled     int64  `json:"doubled"`
	Unsummed    int64  `json:"unsummed"`
	Bytes       int64  `json:"bytes"`
	// Quota is null of an import that it did not end.
	Quota     *osproxyQuota `json:"quota"`
	ElapsedMS int64         `json:"elapsed_ms"`
}

// osproxyQuota is what the owner's quota allows, and what is wanted of it.
type osproxyQuota struct {
	Bytes predecessor.Charge `json:"bytes"`
	Files predecessor.Charge `json:"files"`
}

// end prints the summary of an import that looked at all there is.
func (r *osproxyReport) end(s predecessor.Summary) error { return r.summary(s, false) }

// interrupted prints that of one that did not.
func (r *osproxyReport) interrupted(s predecessor.Summary) error {
	if s.Rows == 0 {
		return nil // nothing was begun
	}
	return r.summary(s, true)
}

func (r *osproxyReport) summary(s predecessor.Summary, interrupted bool) error {
	if r.json {
		return json.NewEncoder(r.out).Encode(osproxySummary{1, "summary", s.Whole() && !interrupted && !s.Quota.Over(), r.dryRun, interrupted, s.Rows, s.Done,
			s.Imported, s.Already, s.Updated, s.Deleted, s.Unfinished, s.Told[predecessor.Missing], s.Told[predecessor.OtherSize], s.Told[predecessor.Failed],
			s.Told[predecessor.Changed], s.Told[predecessor.Renamed], s.Told[predecessor.Doubled], s.Told[predecessor.Unsummed], s.Bytes, (*osproxyQuota)(s.Quota), time.Since(r.started).Milliseconds()})
	}
	verb := "Imported"
	if r.dryRun {
		verb = "Would import"
	}
	_, err := fmt.Fprintf(r.out, "%s %d files, %d bytes, of %d uids; %d were there already, %d have been deleted since, to %d nothing was uploaded.\n",
		verb, s.Imported, s.Bytes, s.Rows, s.Already, s.Deleted, s.Unfinished)
	if n := s.Told[predecessor.Renamed]; err == nil && n > 0 {
		_, err = fmt.Fprintf(r.out, "%d of them have another name than osproxy's.\n", n)
	}
	if n := s.Updated; err == nil && n > 0 {
		_, err = fmt.Fprintf(r.out, "%d had changed since their files were made, which are of what there is now.\n", n)
	}
	if n := s.Told[predecessor.Changed]; err == nil && n > 0 {
		_, err = fmt.Fprintf(r.out, "%d have changed since their files were made, which stay what they are.\n", n)
	}
	if err == nil && s.Told[predecessor.Missing]+s.Told[predecessor.OtherSize]+s.Told[predecessor.Failed] > 0 {
		_, err = fmt.Fprintf(r.out, "No file was made of %d whose object is not there, %d whose object has another size, and %d others.\n",
			s.Told[predecessor.Missing], s.Told[predecessor.OtherSize], s.Told[predecessor.Failed])
	}
	if err == nil && r.dryRun && s.Quota != nil {
		_, err = fmt.Fprintf(r.out, "Of the quota: %s; %s.\n", charged(s.Quota.Bytes, "bytes"), charged(s.Quota.Files, "files"))
	}
	if err == nil && interrupted {
		_, err = fmt.Fprintf(r.out, "Only %d uids were looked at: run it again, and it goes on.\n", s.Done)
	}
	return err
}

// charged is what is wanted of a quota, beside what it allows.
func charged(c predecessor.Charge, what string) string {
	allowed := "any number"
	if c.Allowed != nil {
		allowed = strconv.FormatInt(*c.Allowed, 10)
	}
	return fmt.Sprintf("%s %d in use, %d more wanted, %s allowed", what, c.Used, c.Wanted, allowed)
}
