package cli

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

func TestSniff(t *testing.T) {
	dir := t.TempDir()
	tests := []struct{ name, content, want string }{
		{"a.bin", "\x89PNG\r\n\x1a\n0000", "image/png"},
		{"text", "hello\n", "text/plain; charset=utf-8"},
		{"bytes", "\x00\x01\x02", "application/octet-stream"},
		{"gz", "\x1f\x8b\x08" + strings.Repeat("\x00", 5000), "application/gzip"},
	}
	for _, tt := range tests {
		path := filepath.Join(dir, tt.name)
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := sniffFile(path); got != tt.want {
			t.Errorf("%s is %q, want %q", tt.name, got, tt.want)
		}
		in := bufio.NewReaderSize(strings.NewReader(tt.content), sniffed)
		got, err := sniffStream(t.Context(), in)
		rest, rerr := io.ReadAll(in)
		if got != tt.want || string(rest) != tt.content || err != nil || rerr != nil {
			t.Errorf("stream %s is %q with %d bytes left (%v, %v), want %q with %d", tt.name, got, len(rest), err, rerr, tt.want, len(tt.content))
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "missing")} {
		if got := sniffFile(path); got != "" {
			t.Errorf("%s is %q", path, got)
		}
	}
}

func TestMeant(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	all := []transfer.Transfer{
		{ID: "01JD0000000000000000000000", UID: 1, Path: filepath.Join(here, "a")},
		{ID: "01JD0000000000000000000001", UID: 1234567890123456, Path: filepath.Join(here, "b")},
		{ID: "01JD0000000000000000000002", UID: 3, Path: filepath.Join(here, "123456789012345")},
		{ID: "01JD0000000000000000000003", UID: 1234567890123456789, Path: filepath.Join(here, "a")},
	}
	tests := []struct {
		arg  string
		want []int
	}{
		{"01JD0000000000000000000001", []int{1}},
		{"01JD000000000000000000000Z", nil},
		{"01jd0000000000000000000001", nil}, // a path: ids are upper case
		{"1234567890123456", []int{1}},
		{"1234567890123456789", []int{3}},
		{"123456789012345", []int{2}}, // 15 digits are a path
		{"a", []int{0, 3}},
		{"./x/../a", []int{0, 3}},
		{filepath.Join(here, "b"), []int{1}},
		{"c", nil},
	}
	for _, tt := range tests {
		wanted, err := meant(tt.arg)
		if err != nil {
			t.Errorf("meant(%q): %v", tt.arg, err)
			continue
		}
		var got []int
		for i, tr := range all {
			if wanted(tr) {
				got = append(got, i)
			}
		}
		if len(got) != len(tt.want) || (len(got) > 0 && got[0] != tt.want[0]) {
			t.Errorf("%q means %v, want %v", tt.arg, got, tt.want)
		}
	}
	if _, err := meant("0234567890123456"); protocol.KindOf(err) != protocol.KindBadUID {
		t.Errorf("16 digits with a leading zero: %v, want bad_uid", err)
	}
}

func TestWorkRunsInOrderAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		var items []item
		for i := range 10 {
			items = append(items, item{known: transfer.Result{Path: "f"}, run: func(context.Context) (transfer.Result, error) {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(time.Duration(10-i) * time.Second)
				running.Add(-1)
				return transfer.Result{UID: protocol.UID(i + 1)}, nil
			}})
		}
		p := newPrinted(opPut, false)
		s := &session{now: time.Now}
		s.work(t.Context(), p.report, items, 3)
		if most.Load() != 3 {
			t.Errorf("%d ran at once, want 3", most.Load())
		}
		if got := p.out.String(); !strings.HasPrefix(got, "1\tf\n2\tf\n") || strings.Count(got, "\n") != 10 {
			t.Errorf("stdout %q", got)
		}
	})
}

func TestItemsAfterAStopDoNotBegin(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	begun := 0
	one := item{run: func(context.Context) (transfer.Result, error) {
		begun++
		stop(stopReason(os.Interrupt))
		return transfer.Result{}, ctx.Err()
	}}
	p := newPrinted(opPut, true)
	(&session{now: time.Now}).work(ctx, p.report, []item{one, one, one}, 1)
	if code := p.end(); begun != 1 || code != exitInterrupted || p.sum.Failed != 3 {
		t.Errorf("%d begun, exit %d, %d failed; want 1, 130, 3", begun, code, p.sum.Failed)
	}
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, " yes \n": true, "\n": false, "n\n": false, "": false, "yeah\n": false} {
		p := newPrinted(opRemove, false)
		s := &session{con: p.con, in: strings.NewReader(answer), ask: true}
		if err := s.confirm(t.Context(), "Delete?"); (err == nil) != want {
			t.Errorf("answer %q: %v", answer, err)
		}
		if p.err.String() != "Delete? [y/N] " {
			t.Errorf("asked %q", p.err.String())
		}
	}
}

func TestFileFields(t *testing.T) {
	media := "text/plain"
	at := protocol.TimeOf(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	f := protocol.File{UID: 7, Owner: "local", Name: "a\x1b[2J", Size: 2048, ETag: `"u7"`, MediaType: &media,
		Meta: map[string]string{"k": "v", "b": "c"}, CreatedAt: at, CommittedAt: at}
	const want = `uid         7
name        a\x1b[2J
size        2.0 KiB (2048 bytes)
digest      not yet known
media type  text/plain
meta        b=c
meta        k=v
owner       local
etag        "u7"
created     2026-11-22T10:00:00.000Z
committed   2026-11-22T10:00:00.000Z
expires     never`
	if got := fields(fileFields(f)); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestStandardInputThatNeverComesCanBeInterrupted(t *testing.T) {
	t.Setenv("OSP_HOME", t.TempDir())
	in, typist := io.Pipe()
	defer typist.Close()
	ctx, stop := context.WithCancelCause(t.Context())
	p := newPrinted(opPut, true)
	s := newSession(in, p.con.out, p.con.err, nil)
	ended := make(chan int)
	go func() { ended <- s.run(ctx, []string{"put", "-"}) }()
	stop(stopReason(os.Interrupt))
	if code := <-ended; code != exitInterrupted || !strings.Contains(p.err.String(), "osp: put -: interrupted\n") {
		t.Errorf("exit %d, stderr %q, want 130", code, p.err.String())
	}
}
