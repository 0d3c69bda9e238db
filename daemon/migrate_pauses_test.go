package daemon_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// pauses runs a job that waits, and expects it to wait so many seconds after
// each attempt.
func (m *moving) pauses(id protocol.JobID, seconds ...int) {
	m.t.Helper()
	for i, want := range seconds {
		if got := m.goOn(id).RunAt.Sub(m.clocks.Now()); got != time.Duration(want)*time.Second {
			m.t.Errorf("after attempt %d it waits %s, want %d s", i+1, got, want)
		}
	}
}

// TestMigrationPauses: they grow to a bound while nothing gets better, and begin
// anew where somebody asks for the job again; the source is counted then alone.
func TestMigrationPauses(t *testing.T) {
	m := newMoving(t)
	m.putSmall(ann, "a", noise(1, 100))
	data := noise(2, 3*protocol.MinPartSize)
	u := m.begin(ann, "open", data)
	_, err := m.PutPart(t.Context(), ann, u.UID, 1, upload.Body{Reader: bytes.NewReader(data[:u.PartSize]), Length: u.PartSize})
	must(t, err)
	m.target.putting = func(store.Key) error { return store.ErrFull }
	id := m.ask("disk", "mem")
	again := func() {
		t.Helper()
		_, err = m.db.CancelJob(t.Context(), meta.AnyOwner, id)
		must(t, err)
		_, err = m.db.RetryJob(t.Context(), meta.AnyOwner, id)
		must(t, err)
	}
	m.pauses(id, 5, 10, 20, 40, 80, 160, 300, 300)
	if got := m.counted.Load(); got != 1 {
		t.Errorf("the source was counted %d times", got)
	}
	again()
	m.pauses(id, 5, 10)
	if got := m.counted.Load(); got != 2 {
		t.Errorf("the source was counted %d times, tried again once", got)
	}
	m.target.putting = nil
	m.pauses(id, 5, 10, 20, 40, 60, 60)
	again()
	m.pauses(id, 5, 10)
	must(t, m.Abort(t.Context(), ann, u.UID))
	m.ended(m.goOn(id), "1 contents") // of all attempts
	m.end()
}

// TestMigrationTellsOfLargeContents: how far it is goes on within one.
func TestMigrationTellsOfLargeContents(t *testing.T) {
	m := newMoving(t)
	m.put(ann, "large", noise(1, 2*protocol.BlockSize+5)) // two objects in the target
	puts := 0
	m.target.putting = func(store.Key) error {
		if puts++; puts == 2 {
			return store.ErrFull
		}
		return nil
	}
	var told []int64
	m.target.giving = func(b []byte) []byte { // the first object is there, and read back
		for range 1000 {
			if j := m.jobNow(); j.Progress != nil && j.Progress.Done > 0 {
				told = append(told, j.Progress.Done)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		return b
	}
	id := m.ask("disk", "mem")
	m.waits(m.goOn(id), "waits after a failure")
	if len(told) == 0 || told[0] > 2*protocol.BlockSize {
		t.Errorf("it told of %v bytes", told)
	}
	if j := m.jobOf(id); j.Progress.Done != 0 {
		t.Errorf("nothing was moved, and it tells of %d bytes", j.Progress.Done)
	}
	m.target.putting, m.target.giving = nil, nil
	m.ended(m.goOn(id), "1 contents")
	must(t, errors.Join(m.Close(), m.db.Close()))
}

// jobNow is the migration that was asked for last.
func (m *moving) jobNow() meta.Job {
	jobs, err := m.db.Jobs(m.t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 1, Kind: protocol.JobMigrate})
	if err != nil || len(jobs) == 0 {
		return meta.Job{}
	}
	return jobs[0]
}
