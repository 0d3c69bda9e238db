package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

// printed is a report that prints into buffers.
type printed struct {
	*report
	out, err bytes.Buffer
}

func newPrinted(op string, json bool) *printed {
	p := &printed{}
	s := newSession(strings.NewReader(""), &p.out, &p.err, nil)
	s.opts.json, s.opts.server, s.serverFrom = json, "http://h:1", flagSource("server")
	p.report = s.report(op, s.putText)
	p.began = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return p
}

// end closes the report 16.8 s after it began.
func (p *printed) end() int { return p.close(p.began.Add(16800 * time.Millisecond)) }

func put(uid protocol.UID, path string, size int64) outcome {
	return outcome{op: opPut, kind: transfer.DirectionPut, sized: true, Result: transfer.Result{Path: path, UID: uid, Name: path,
		Size: size, Outcome: transfer.Uploaded, SentBytes: size, Verified: true, Elapsed: 83 * time.Millisecond}}
}

func failed(path string, err error) outcome {
	return outcome{op: opPut, kind: transfer.DirectionPut, Result: transfer.Result{Path: path}, err: err}
}

func TestTextComesInArgumentOrder(t *testing.T) {
	p := newPrinted(opPut, false)
	p.add(2, put(3, "c", 1))
	p.add(0, put(1, "a\nb", 1))
	if got, want := p.out.String(), "1\ta\\nb\n"; got != want {
		t.Fatalf("after 2 and 0: %q, want %q", got, want)
	}
	p.add(1, failed("x", protocol.Errorf(protocol.KindLocalMissing, "there is no such file")))
	if got, want := p.out.String(), "1\ta\\nb\n3\tc\n"; got != want {
		t.Errorf("after 1: %q, want %q", got, want)
	}
	if code := p.end(); code != exitPartial {
		t.Errorf("exit %d, want 3", code)
	}
	const want = "osp: put x: there is no such file\n2 of 3 files, 2 B in 16.8s (2 B sent); 1 failed\n"
	if got := p.err.String(); got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

func TestAnyOrderOfEndsPrintsArgumentOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "items")
		order := rapid.Permutation(seq(n)).Draw(t, "order")
		p := newPrinted(opPut, false)
		var want strings.Builder
		for i := range n {
			fmt.Fprintf(&want, "%d\tf\n", i+1)
		}
		for _, i := range order {
			p.add(i, put(protocol.UID(i+1), "f", 1))
		}
		if got := p.out.String(); got != want.String() {
			t.Fatalf("printed %q, want %q", got, want.String())
		}
	})
}

func seq(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func TestJSONLines(t *testing.T) {
	p := newPrinted(opPut, true)
	digest := protocol.Digest{0: 0xab}
	done := put(381270594817523712, "dist/<app>.tar.gz", 1048576)
	done.Digest, done.Outcome = &digest, transfer.Instant
	done.SentBytes, done.InstantBytes = 0, done.Size
	p.add(1, done)
	stuck := failed("big.iso", &protocol.Error{Kind: protocol.KindDraining, Op: "send part 17", Message: "the daemon is draining",
		Hint: "wait", RequestID: "7f3a"})
	stuck.Result = transfer.Result{Path: "big.iso", UID: 7, Name: "big.iso", Size: 100, SentBytes: 40, ResumedBytes: 20, Retries: 8,
		Transfer: "01JD0000000000000000000000"}
	p.add(0, stuck)
	if code := p.end(); code != exitPartial {
		t.Errorf("exit %d, want 3", code)
	}
	const want = `{"v":1,"type":"result","op":"put","ok":true,"path":"dist/<app>.tar.gz","uid":"381270594817523712","name":"dist/<app>.tar.gz","size":1048576,"digest":"ab00000000000000000000000000000000000000000000000000000000000000","outcome":"instant","sent_bytes":0,"resumed_bytes":0,"verified":true,"retries":0,"elapsed_ms":83,"transfer":null,"error":null}
{"v":1,"type":"result","op":"put","ok":false,"path":"big.iso","uid":"7","name":"big.iso","size":100,"digest":null,"outcome":"failed","sent_bytes":40,"resumed_bytes":20,"verified":false,"retries":8,"elapsed_ms":0,"transfer":"01JD0000000000000000000000","error":{"code":"draining","exit":5,"message":"send part 17: the daemon is draining","hint":"osp resume 01JD0000000000000000000000 --server http://h:1","request_id":"7f3a","retryable":true}}
{"v":1,"type":"summary","ok":false,"exit":3,"items":2,"done":1,"failed":1,"bytes":1048576,"sent_bytes":40,"resumed_bytes":20,"instant_bytes":1048576,"elapsed_ms":16800}
`
	if got := p.out.String(); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
	if p.err.Len() > 0 {
		t.Errorf("stderr %q, want nothing", p.err.String())
	}
}

func TestWhatIsNotKnownIsNull(t *testing.T) {
	p := newPrinted(opPut, true)
	p.add(0, failed("x", errors.New("odd")))
	p.add(1, outcome{op: opRemove, Result: transfer.Result{UID: 7, Outcome: transfer.Deleted}})
	p.add(2, put(8, "empty", 0))
	const want = `{"v":1,"type":"result","op":"put","ok":false,"path":"x","uid":null,"name":null,"size":null,"digest":null,"outcome":"failed","sent_bytes":0,"resumed_bytes":0,"verified":false,"retries":0,"elapsed_ms":0,"transfer":null,"error":{"code":"internal","exit":1,"message":"odd","hint":null,"request_id":null,"retryable":false}}
{"v":1,"type":"result","op":"rm","ok":true,"path":null,"uid":"7","name":null,"size":null,"digest":null,"outcome":"deleted","sent_bytes":0,"resumed_bytes":0,"verified":false,"retries":0,"elapsed_ms":0,"transfer":null,"error":null}
{"v":1,"type":"result","op":"put","ok":true,"path":"empty","uid":"8","name":"empty","size":0,"digest":null,"outcome":"uploaded","sent_bytes":0,"resumed_bytes":0,"verified":true,"retries":0,"elapsed_ms":83,"transfer":null,"error":null}
`
	if got := p.out.String(); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestErrorsSayWhatToDoNext(t *testing.T) {
	tests := []struct {
		name string
		o    outcome
		want string
	}{
		{"hint and request", failed("a", &protocol.Error{Kind: protocol.KindBadName, Message: "no", Hint: "choose\nanother", RequestID: "r\x1b1"}),
			"osp: put a: no\n  try:  choose\\nanother\n  request r\\x1b1, code bad_name\n"},
		{"hostile message", failed("a\x1b[2J", protocol.Errorf(protocol.KindInternal, "x\r\nosp: put a: done")),
			"osp: put a\\x1b[2J: x\\r\\nosp: put a: done\n"},
		{"stopped midway", outcome{op: opPut, err: stopReason(nil), Result: transfer.Result{Path: "a", Size: 5 << 30, SentBytes: 3 << 30,
			Transfer: "01JD0000000000000000000000"}},
			"osp: put a: interrupted\n  try:  osp resume 01JD0000000000000000000000 --server http://h:1\n"},
		{"stopped with nothing kept", failed("-", stopReason(nil)), "osp: put -: interrupted\n  try:  Run the same command again.\n"},
		{"final though a transfer is kept", outcome{op: opPut, err: &protocol.Error{Kind: protocol.KindLocalChanged, Message: "it changed", Hint: "mine"},
			Result: transfer.Result{Path: "a", Transfer: "01JD0000000000000000000000"}}, "osp: put a: it changed\n  try:  mine\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPrinted(opPut, false)
			p.add(0, tt.o)
			if got := p.err.String(); got != tt.want {
				t.Errorf("stderr\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestSummaryInWords(t *testing.T) {
	resumed := put(1, "a", 5<<30)
	resumed.Outcome, resumed.SentBytes, resumed.ResumedBytes = transfer.Resumed, 2<<30, 3<<30
	instant := put(3, "c", 3<<20)
	instant.Outcome, instant.SentBytes, instant.InstantBytes = transfer.Instant, 0, 3<<20
	unverified := put(2, "b", 1)
	unverified.Verified = false
	tests := []struct {
		name  string
		op    string
		items []outcome
		want  string
	}{
		{"one", opPut, []outcome{put(1, "a", 1<<20)}, "1 file, 1.0 MiB in 16.8s (1.0 MiB sent), all verified\n"},
		{"resumed", opPut, []outcome{resumed}, "1 file, 5.0 GiB in 16.8s (2.0 GiB sent, 3.0 GiB resumed), all verified\n"},
		{"instant", opPut, []outcome{instant}, "1 file, 3.0 MiB in 16.8s (3.0 MiB instant), all verified\n"},
		{"instant among others", opPut, []outcome{put(1, "a", 1<<20), instant, instant},
			"3 files, 7.0 MiB in 16.8s (1.0 MiB sent, 6.0 MiB instant: 2 files), all verified\n"},
		{"not verified", opGet, []outcome{put(1, "a", 1), unverified}, "2 files, 2 B in 16.8s (2 B received)\n"},
		{"deleted", opRemove, []outcome{{}, {}}, "2 files deleted\n"},
		{"nothing", opResume, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPrinted(tt.op, false)
			for i, o := range tt.items {
				p.add(i, o)
			}
			if code := p.end(); code != exitDone || p.err.String() != tt.want {
				t.Errorf("exit %d, stderr %q, want %q", code, p.err.String(), tt.want)
			}
		})
	}
}

func TestLostResultsAreAFailure(t *testing.T) {
	for _, json := range []bool{false, true} {
		p := newPrinted(opPut, json)
		p.con.out = failing{}
		p.add(0, put(1, "a", 1))
		if code := p.end(); code != exitOther {
			t.Errorf("json %v: exit %d although the result could not be printed, want 1", json, code)
		}
	}
}

func TestVerboseTellsHowEachWasDone(t *testing.T) {
	p := newPrinted(opPut, false)
	p.verbose = true
	o := put(1, "a", 2<<20)
	o.Outcome, o.SentBytes, o.ResumedBytes, o.Retries = transfer.Resumed, 1<<20, 1<<20, 3
	p.add(0, o)
	const want = "osp: put a: resumed, 2.0 MiB in 83ms, 1.0 MiB moved, 1.0 MiB were there, requests tried again: 3\n"
	if got := p.err.String(); got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

func TestStopped(t *testing.T) {
	reason := protocol.Errorf(protocol.KindTimeout, "--timeout 1s was reached")
	stoppedCtx, stop := context.WithCancelCause(t.Context())
	stop(reason)
	missing := protocol.Errorf(protocol.KindNotFound, "gone")
	tests := []struct {
		name string
		ctx  context.Context
		in   error
		want error
	}{
		{"success", stoppedCtx, nil, nil},
		{"not stopped", t.Context(), missing, missing},
		{"a failure of its own", stoppedCtx, missing, missing},
		{"the context's error", stoppedCtx, fmt.Errorf("send: %w", context.Canceled), reason},
		{"the cause", stoppedCtx, fmt.Errorf("send: %w", reason), reason},
		{"a broken connection", stoppedCtx, protocol.Errorf(protocol.KindNetwork, "x"), reason},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := stopped(tt.ctx, tt.in); !errors.Is(got, tt.want) {
				t.Errorf("stopped = %v, want %v", got, tt.want)
			}
		})
	}
}
