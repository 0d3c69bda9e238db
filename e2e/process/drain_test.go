package process

import (
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// slowPart is a part of which half was sent.
type slowPart struct {
	upload protocol.Upload
	data   []byte
	body   *io.PipeWriter
	answer chan harness.Answer
}

// startPart sends the first half of a part and returns when the daemon is
// sure to be reading it: more has left than buffers on the way can hold.
func startPart(t *testing.T, d *harness.Daemon) *slowPart {
	t.Helper()
	api := d.API()
	data := harness.Content(21, 4*protocol.MinPartSize)
	var u protocol.Upload
	ans := api.JSON("POST", "/v1/uploads", map[string]any{"name": "slow", "size_hint": int64(protocol.MaxParts) * 4 * protocol.MinPartSize})
	decodeInto(t, api, ans, http.StatusCreated, &u)
	reader, writer := io.Pipe()
	s := &slowPart{upload: u, data: data, body: writer, answer: make(chan harness.Answer, 1)}
	go func() {
		path := fmt.Sprintf("/v1/uploads/%s/parts/1", u.UID)
		s.answer <- api.Do("PUT", path, reader, int64(len(data)), protocol.HeaderXXH3, protocol.SumXXH3(data).String())
	}()
	t.Cleanup(func() { writer.CloseWithError(io.ErrClosedPipe) })
	if _, err := writer.Write(data[:len(data)/2]); err != nil {
		t.Fatalf("the first half of a part: %v", err)
	}
	return s
}

// giveUp ends the request, whose sender net/http waits for, and returns what
// became of it.
func (s *slowPart) giveUp() harness.Answer {
	s.body.CloseWithError(io.ErrClosedPipe)
	return <-s.answer
}

// draining waits until the daemon takes no new work.
func draining(t *testing.T, d *harness.Daemon) {
	t.Helper()
	harness.Eventually(t, "the daemon drains", func() bool {
		ans := d.API().Do("GET", "/readyz", nil, 0)
		return ans.Err != nil || ans.Status == http.StatusServiceUnavailable
	})
}

func TestDrainLetsAPartFinish(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	s := startPart(t, d)
	d.Signal(syscall.SIGTERM)
	draining(t, d)
	if ans := d.API().PutFile("late", []byte("late")); ans.Err == nil && ans.Code() != protocol.KindDraining {
		t.Errorf("new work while draining: %d %s", ans.Status, ans.Body)
	}
	if _, err := s.body.Write(s.data[len(s.data)/2:]); err != nil {
		t.Fatalf("the second half of the part: %v", err)
	}
	s.body.Close()
	if ans := <-s.answer; ans.Status != http.StatusOK || ans.Err != nil {
		t.Errorf("the part in flight: %d %s %v", ans.Status, ans.Body, ans.Err)
	}
	if exit := d.Wait(); exit != 0 {
		t.Errorf("ospd left with %d:\n%s", exit, d.Stderr())
	}
	d.Start()
	now, ans := d.API().Upload(s.upload.UID)
	d.API().Require(ans, http.StatusOK)
	if len(now.Parts) != 1 || now.Parts[0].XXH3 != protocol.SumXXH3(s.data) {
		t.Errorf("listed after the restart: %+v", now.Parts)
	}
	stopClean(t, d)
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	s := startPart(t, d)
	d.Signal(syscall.SIGTERM)
	draining(t, d)
	d.Signal(syscall.SIGTERM)
	if exit := d.Wait(); exit == 0 {
		t.Errorf("an interrupted drain left with 0:\n%s", d.Stderr())
	}
	if ans := s.giveUp(); ans.Err == nil && ans.Status == http.StatusOK {
		t.Errorf("a part that was half sent was answered 200")
	}
	fsckClean(t, d.Data)
}

// TestLeftoversOfAKillAreSettled: a daemon killed in the middle of a part and
// of an open upload leaves nothing that fsck calls a finding, before and
// after the next start.
func TestLeftoversOfAKillAreSettled(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	kept := api.MustFile(api.PutFile("kept", []byte("kept")), http.StatusCreated)
	s := startPart(t, d)
	d.Kill()
	s.giveUp()
	fsckClean(t, d.Data)

	d.Start()
	api = d.API()
	api.MustHold(kept.UID, []byte("kept"))
	now, ans := api.Upload(s.upload.UID)
	api.Require(ans, http.StatusOK)
	if len(now.Parts) != 0 {
		t.Errorf("a part that was never answered is listed: %+v", now.Parts)
	}
	api.Require(api.PutPart(now.UID, 1, s.data), http.StatusOK)
	size := map[string]any{"size": len(s.data)}
	f := api.MustFile(api.JSON("POST", "/v1/uploads/"+now.UID.String()+"/commit", size), http.StatusOK)
	api.MustHold(f.UID, s.data)
	stopClean(t, d)
}
