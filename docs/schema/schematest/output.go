package schematest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Objects says of each verb that prints no summary with --json which schema its
// lines follow, "" where it prints nothing. All other verbs print results and
// one last summary.
func Objects() map[string]string {
	return map[string]string{
		"stat":              "file.json",
		"ls":                "file.json",
		"link":              "link.json",
		"transfers list":    "transfer.json",
		"transfers show":    "transfer.json",
		"admin jobs list":   "job.json",
		"admin jobs show":   "job.json",
		"admin jobs start":  "job.json",
		"admin jobs retry":  "job.json",
		"admin jobs cancel": "job.json",
		"admin jobs follow": "job.json",

		"admin webhooks add":    "created_webhook.json",
		"admin webhooks list":   "webhook.json",
		"admin webhooks test":   "webhook_test.json",
		"admin webhooks remove": "",
		"admin webhooks replay": "webhook_replay.json",

		"admin stores":        "store.json",
		"admin nodes":         "node.json",
		"admin nodes drain":   "node.json",
		"admin nodes undrain": "node.json",
		"admin migrate":       "job.json",
		"admin import":        "manifest_entry.json",
		"admin jobs manifest": "manifest_entry.json",

		"profile list": "profile.json",
		"profile show": "profile.json",
		"profile use":  "",
		"login":        "",
		"logout":       "",
		"version":      "version.json",
		"man":          "",
	}
}

// Output compares what a verb printed with --json with the schemas, and the
// numbers of its lines with each other.
func (s *Schemas) Output(verb string, stdout []byte) error {
	if len(stdout) > 0 && stdout[len(stdout)-1] != '\n' {
		return errors.New("the last line does not end")
	}
	lines := bytes.SplitAfter(stdout, []byte("\n"))
	lines = lines[:len(lines)-1]
	name, objects := Objects()[verb]
	if !objects {
		return s.results(lines)
	}
	for _, line := range lines {
		if name == "" {
			return fmt.Errorf("%s printed %q, and was to print nothing", verb, line)
		}
		if err := s.Check(name, line); err != nil {
			return err
		}
	}
	return nil
}

// result and summary are the numbers of their lines.
type result struct {
	Op, Outcome  string
	OK, Verified bool
	Digest       *string
	Size         int64
	SentBytes    int64 `json:"sent_bytes"`
	ResumedBytes int64 `json:"resumed_bytes"`
	Retries      int
}

type summary struct {
	OK                        bool
	Exit, Items, Done, Failed int
	Bytes                     int64
	SentBytes                 int64 `json:"sent_bytes"`
	ResumedBytes              int64 `json:"resumed_bytes"`
	InstantBytes              int64 `json:"instant_bytes"`
}

func (s *Schemas) results(lines [][]byte) error {
	if len(lines) == 0 {
		return errors.New("there is no summary")
	}
	var want, got summary
	for _, line := range lines[:len(lines)-1] {
		var r result
		if err := s.decode("result.json", line, &r); err != nil {
			return err
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		want.add(r)
	}
	last := lines[len(lines)-1]
	if err := s.decode("summary.json", last, &got); err != nil {
		return err
	}
	want.OK, want.Exit = got.OK, got.Exit
	if got != want {
		return fmt.Errorf("the summary %+v does not agree with the results %+v", got, want)
	}
	return nil
}

func (s *Schemas) decode(name string, line []byte, v any) error {
	if err := s.Check(name, line); err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

func (sum *summary) add(r result) {
	sum.Items++
	sum.SentBytes += r.SentBytes
	sum.ResumedBytes += r.ResumedBytes
	if !r.OK {
		sum.Failed++
		return
	}
	sum.Done++
	sum.Bytes += r.Size
	if r.Outcome == "instant" {
		sum.InstantBytes += r.Size
	}
}

// check is what no schema can say: how a file came to be whole. Every byte of
// it was sent, found held or claimed, or the file was left as it was; and none
// twice, unless a request was made again.
func (r result) check() error {
	if r.Outcome == "instant" && (!r.Verified || r.Digest == nil) {
		return errors.New("it was claimed and is not verified")
	}
	var known int64
	switch r.Outcome {
	case "failed", "deleted":
		return nil
	case "instant", "skipped":
		known = r.Size
	}
	whole := known + r.SentBytes + r.ResumedBytes
	if whole < r.Size || (r.Retries == 0 && whole > r.Size) {
		return fmt.Errorf("%d bytes sent, %d resumed and %d known do not make %d", r.SentBytes, r.ResumedBytes, known, r.Size)
	}
	return nil
}
