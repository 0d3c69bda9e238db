package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/osproxy/osproxy/protocol"
)

// jobTable prints jobs in columns, without a last newline; only their ids with
// -q.
func (s *session) jobTable(all []protocol.Job) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !s.opts.quiet {
		fmt.Fprintln(w, "JOB\tKIND\tSTATE\tDUE\tATTEMPTS\tABOUT\tPROGRESS")
	}
	for _, j := range all {
		if s.opts.quiet {
			fmt.Fprintln(w, j.ID)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d/%d\t%s\t%s\n", j.ID, clean(string(j.Kind)), stateText(j), j.RunAt, j.Attempts, j.MaxAttempts,
			clean(valueOr(j.Subject, "-")), progressText(j.Progress))
	}
	_ = w.Flush() // into memory
	return strings.TrimRight(b.String(), "\n")
}

// jobLine is a job in one line of standard output.
func (s *session) jobLine(j protocol.Job) string {
	return j.ID.String() + "\t" + clean(string(j.Kind)) + "\t" + stateText(j)
}

func stateText(j protocol.Job) string {
	if j.Cancelling {
		return "cancelling"
	}
	return clean(string(j.State))
}

func progressText(p *protocol.JobProgress) string {
	if p == nil {
		return "-"
	}
	text := fmt.Sprintf("%d %s", p.Done, clean(p.Unit))
	switch {
	case p.Unit == "bytes" && p.Total != nil:
		text = bytesText(p.Done) + "/" + bytesText(*p.Total)
	case p.Unit == "bytes":
		text = bytesText(p.Done)
	case p.Total != nil:
		text = fmt.Sprintf("%d/%d %s", p.Done, *p.Total, clean(p.Unit))
	}
	if p.Total != nil && *p.Total > 0 {
		text = fmt.Sprintf("%d%% %s", percent(p.Done, *p.Total), text)
	}
	if p.Note != "" {
		text += ", " + clean(p.Note)
	}
	return text
}

// jobFields are the lines of a job for people.
func jobFields(j protocol.Job) [][2]string {
	lines := [][2]string{
		{"job", j.ID.String()},
		{"kind", string(j.Kind)},
		{"state", stateText(j)},
		{"owner", valueOr(j.Owner, "the daemon")},
		{"args", string(j.Args)},
		{"about", valueOr(j.Subject, "-")},
		{"priority", j.Priority.String()},
		{"attempts", fmt.Sprintf("%d of %d", j.Attempts, j.MaxAttempts)},
		{"created", j.CreatedAt.String()},
		{"due", j.RunAt.String()},
		{"started", textOr(j.StartedAt, "-")},
		{"finished", textOr(j.FinishedAt, "-")},
		{"progress", progressText(j.Progress)},
	}
	if j.EverySeconds != nil {
		lines = append(lines, [2]string{"every", fmt.Sprintf("%d s after its end", *j.EverySeconds)})
	}
	if j.Node != nil {
		lines = append(lines, [2]string{"node", *j.Node})
	}
	if j.Error != nil {
		lines = append(lines, [2]string{"error", *j.Error})
	}
	return lines
}

// valueOr is the text that v points to, or other for nil.
func valueOr[T ~string](v *T, other string) string {
	if v == nil {
		return other
	}
	return string(*v)
}
