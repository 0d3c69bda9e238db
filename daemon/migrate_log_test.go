package daemon_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// TestMigrationIsLogged: there is a line when somebody's migration begins, when
// it is cancelled while it runs, when it goes on since somebody asked, and when
// it is done; and none for each time that it waits.
func TestMigrationIsLogged(t *testing.T) {
	m := newMoving(t)
	m.putSmall(ann, "a", noise(1, 100))
	open := m.begin(ann, "open", noise(2, 5<<20))
	id := m.ask("disk", "mem")
	about := fmt.Sprintf(" job=%s from=disk to=mem", id)
	begins := `level=INFO msg="a migration begins"` + about

	m.listing = func(ctx context.Context, _ meta.BlobID) {
		_, err := m.db.CancelJob(t.Context(), meta.AnyOwner, id)
		if err != nil {
			t.Error(err)
			return
		}
		<-ctx.Done()
	}
	stop := m.runs(m.handler())
	m.eventually(id, protocol.JobCancelled)
	stop()
	m.listing = nil
	want := []string{begins, `level=INFO msg="a migration was cancelled; what was moved stays moved, and the source closed"` + about}
	m.logIs(want)

	_, err := m.db.RetryJob(t.Context(), meta.AnyOwner, id)
	must(t, err)
	for range 3 {
		m.waits(m.goOn(id), "waits for 1 open uploads")
	}
	want = append(want, begins)
	m.logIs(want)

	must(t, m.Abort(t.Context(), ann, open.UID))
	m.ended(m.goOn(id), "1 contents")
	m.logIs(append(want, `level=INFO msg="a migration is done"`+about+" contents=1 bytes=100 skipped=0 damaged=0"))
	m.end()
}

// logIs expects the lines, without their times and how long it took.
func (m *moving) logIs(want []string) {
	m.t.Helper()
	var got []string
	for line := range strings.Lines(m.log.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), " ")
		line, _, _ = strings.Cut(line, " seconds=")
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		m.t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
