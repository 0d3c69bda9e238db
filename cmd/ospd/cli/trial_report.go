package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// trialReport prints how a trial goes.
type trialReport struct {
	w    io.Writer
	json bool

	store   string
	place   string
	started time.Time

	passed, failed, inapplicable int
}

func newTrialReport(w io.Writer, json bool) *trialReport {
	return &trialReport{w: w, json: json, started: time.Now()}
}

// cases is how many ran that mean something for this store.
func (r *trialReport) cases() int { return r.passed + r.failed }

func (r *trialReport) begin(name, place string) error {
	r.store, r.place = name, place
	if r.json {
		return nil
	}
	_, err := fmt.Fprintf(r.w, "Trying store %s, in a place of its own that is removed afterwards: %s\n", name, place)
	return err
}

// trialLine is what --json prints of a case: outcome is passed, failed or
// inapplicable, where the storage does not offer what the case is about.
type trialLine struct {
	V         int      `json:"v"`
	Type      string   `json:"type"`
	Case      string   `json:"case"`
	Outcome   string   `json:"outcome"`
	Messages  []string `json:"messages"`
	ElapsedMS int64    `json:"elapsed_ms"`
}

// ended prints what came of a case.
func (r *trialReport) ended(c *trialCase) error {
	outcome, sign, messages := "passed", "ok", []string{}
	switch {
	case c.failed:
		r.failed++
		outcome, sign, messages = "failed", "FAIL", c.messages
	case len(c.notes) > 0:
		r.inapplicable++
		outcome, sign, messages = "inapplicable", "-", c.notes
	default:
		r.passed++
	}
	if r.json {
		return json.NewEncoder(r.w).Encode(trialLine{1, "case", c.name, outcome, messages, c.took.Milliseconds()})
	}
	if outcome == "inapplicable" {
		_, err := fmt.Fprintf(r.w, "%-4s  %s: %s\n", sign, c.name, messages[0])
		return err
	}
	text := fmt.Sprintf("%-4s  %s (%s)\n", sign, c.name, c.took.Round(time.Millisecond))
	const most = 5
	for i, m := range messages {
		if i == most {
			text += fmt.Sprintf("        and %d more; --json has all\n", len(messages)-most)
			break
		}
		text += "        " + strings.ReplaceAll(m, "\n", "\n        ") + "\n"
	}
	_, err := io.WriteString(r.w, text)
	return err
}

// trialSummary is the last line of --json.
type trialSummary struct {
	V            int    `json:"v"`
	Type         string `json:"type"`
	OK           bool   `json:"ok"`
	Store        string `json:"store"`
	Place        string `json:"place"`
	Passed       int    `json:"passed"`
	Failed       int    `json:"failed"`
	Inapplicable int    `json:"inapplicable"`
	Interrupted  bool   `json:"interrupted"`
	// Removed says that nothing of the trial is left in the storage.
	Removed   bool  `json:"removed"`
	ElapsedMS int64 `json:"elapsed_ms"`
}

func (r *trialReport) end(removed, interrupted bool) error {
	took := time.Since(r.started)
	if r.json {
		return json.NewEncoder(r.w).Encode(trialSummary{1, "summary", r.failed == 0 && removed && !interrupted, r.store, r.place,
			r.passed, r.failed, r.inapplicable, interrupted, removed, took.Milliseconds()})
	}
	rest := "Nothing was left behind."
	if !removed {
		rest = "Something was left behind."
	}
	_, err := fmt.Fprintf(r.w, "%d cases passed, %d failed, %d do not apply, in %s. %s\n",
		r.passed, r.failed, r.inapplicable, took.Round(100*time.Millisecond), rest)
	return err
}
