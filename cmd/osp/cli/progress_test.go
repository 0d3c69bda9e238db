package cli

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/osproxy/osproxy/client/transfer"
)

func TestProgressMode(t *testing.T) {
	tests := []struct {
		name     string
		flag     string
		quiet    bool
		terminal bool
		unsized  bool
		env      environment
		want     string
	}{
		{"terminal", "auto", false, true, false, nil, "bar"},
		{"no terminal", "auto", false, false, false, nil, "plain"},
		{"dumb", "auto", false, true, false, environment{"TERM": "dumb"}, "plain"},
		{"ci", "auto", false, true, false, environment{"CI": "1"}, "plain"},
		{"no colour is no matter", "auto", false, true, false, environment{"NO_COLOR": "1"}, "bar"},
		{"bar in ci", "bar", false, true, false, environment{"CI": "1"}, "bar"},
		{"bar off a terminal", "bar", false, false, false, nil, "plain"},
		{"bar on a dumb one", "bar", false, true, false, environment{"TERM": "dumb"}, "plain"},
		{"no total", "bar", false, true, true, nil, "plain"},
		{"plain on a terminal", "plain", false, true, false, nil, "plain"},
		{"none", "none", false, true, false, nil, "none"},
		{"quiet", "bar", true, true, false, nil, "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &session{errTerminal: tt.terminal, env: tt.env, opts: globals{progress: tt.flag, quiet: tt.quiet}}
			if got := s.progressMode(tt.unsized); got != tt.want {
				t.Errorf("mode is %s, want %s", got, tt.want)
			}
		})
	}
}

func TestPlainLines(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 10, 0, time.UTC)
	const gib = 1 << 30
	tests := []struct {
		name    string
		unsized bool
		before  transfer.Snapshot
		now     transfer.Snapshot
		want    string
	}{
		{"nothing moved", false, transfer.Snapshot{}, transfer.Snapshot{Items: 1, Bytes: 100}, ""},
		{"moved", false, transfer.Snapshot{}, transfer.Snapshot{Items: 7, ItemsDone: 3, Bytes: 8 * gib, Moved: 4 * gib, Rate: 412 << 20, ETA: 7 * time.Second},
			"osp: 2026-11-22T10:00:10Z 3/7 files 50% 4.0 GiB/8.0 GiB 412 MiB/s eta 00:07"},
		{"less than 1 %", false, transfer.Snapshot{Bytes: 1000, Moved: 500}, transfer.Snapshot{Items: 1, Bytes: 1000, Moved: 509}, ""},
		{"just 1 %", false, transfer.Snapshot{Bytes: 1000, Moved: 500}, transfer.Snapshot{Items: 1, Bytes: 1000, Moved: 510},
			"osp: 2026-11-22T10:00:10Z 0/1 files 51% 510 B/1000 B"},
		{"taken back", false, transfer.Snapshot{Bytes: 1000, Moved: 500}, transfer.Snapshot{Items: 1, Bytes: 1000, Moved: 400}, ""},
		{"resumed", false, transfer.Snapshot{}, transfer.Snapshot{Items: 1, Bytes: 4 * gib, Moved: gib, Resumed: 2 * gib, ETA: 2 * time.Hour},
			"osp: 2026-11-22T10:00:10Z 0/1 files 75% 3.0 GiB/4.0 GiB eta 2:00:00 resumed 2.0 GiB"},
		{"instant", false, transfer.Snapshot{}, transfer.Snapshot{Items: 2, ItemsDone: 1, Bytes: 4 * gib, Instant: 3 * gib},
			"osp: 2026-11-22T10:00:10Z 1/2 files 75% 3.0 GiB/4.0 GiB instant 3.0 GiB"},
		{"hashing", false, transfer.Snapshot{Bytes: 4 * gib, Hashed: gib}, transfer.Snapshot{Items: 1, Bytes: 4 * gib, Hashed: 2 * gib},
			"osp: 2026-11-22T10:00:10Z 0/1 files 0% 0 B/4.0 GiB hashed 2.0 GiB"},
		{"hashing less than 1 %", false, transfer.Snapshot{Bytes: 1000, Hashed: 500}, transfer.Snapshot{Items: 1, Bytes: 1000, Hashed: 509}, ""},
		{"moving after a hash", false, transfer.Snapshot{Bytes: 1000, Hashed: 1000}, transfer.Snapshot{Items: 1, Bytes: 1000, Moved: 10},
			"osp: 2026-11-22T10:00:10Z 0/1 files 1% 10 B/1000 B"},
		{"hashing the next", false, transfer.Snapshot{Bytes: 1000, Hashed: 500, Moved: 400}, transfer.Snapshot{Items: 2, Bytes: 1000, Hashed: 5, Moved: 400}, ""},
		{"more than announced", false, transfer.Snapshot{}, transfer.Snapshot{Items: 1, Bytes: 10, Moved: 20},
			"osp: 2026-11-22T10:00:10Z 0/1 files 100% 20 B/10 B"},
		{"no total", true, transfer.Snapshot{Moved: 1000}, transfer.Snapshot{Items: 1, Bytes: 2000, Moved: 2000},
			"osp: 2026-11-22T10:00:10Z 0/1 files 2.0 KiB"},
		{"no total, hardly moved", true, transfer.Snapshot{Moved: 1000}, transfer.Snapshot{Items: 1, Moved: 1009}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := &plainLines{unsized: tt.unsized, shown: tt.before}
			if got := lines.next(at, tt.now); got != tt.want {
				t.Errorf("line %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPlainProgressIsFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		s := newSession(strings.NewReader(""), &out, &errs, nil)
		s.opts = globals{progress: progressBar, interval: 10 * time.Second} // a bar, but there is no terminal
		stop := s.show(&transfer.Progress{}, false)
		time.Sleep(time.Minute)
		stop()
		if errs.Len() > 0 || out.Len() > 0 {
			t.Errorf("a minute in which nothing moved printed %q, %q", errs.String(), out.String())
		}
	})
}

func TestBarIsDrawnAndTakenAway(t *testing.T) {
	var out, errs bytes.Buffer
	con := &console{out: &out, err: &errs}
	bar := newTotalBar(con)
	columns := 80
	bar.columns = func() int { return columns }
	for _, s := range []transfer.Snapshot{
		{Items: 1},
		{Items: 2, Bytes: 100},
		{Items: 2, Bytes: 100, Moved: 50, Resumed: 20, Rate: 10},
		{Items: 2, Bytes: 100, Moved: 40, Resumed: 20}, // a failed request is taken back
		{Items: 2, ItemsDone: 1, Bytes: 1000, Moved: 80, Resumed: 20},
		{Items: 2, ItemsDone: 2, Bytes: 1000, Moved: 980, Resumed: 20},
	} {
		for _, columns = range []int{0, 1, 20, 40, 80, 200} {
			before := errs.Len()
			bar.draw(s)
			cleared := "\r" + strings.Repeat(" ", max(columns-1, 0)) + "\r"
			line, ok := strings.CutPrefix(errs.String()[before:], cleared)
			if !ok || strings.ContainsAny(line, "\x1b\n\r") || width(line) > max(columns-len("^C")-1, 0) {
				t.Errorf("%+v drew %q on %d columns", s, errs.String()[before:], columns)
			}
			if columns >= 40 && (!strings.Contains(line, barText(s, 19)) || !strings.HasSuffix(line, "|")) {
				t.Errorf("%+v drew %q on %d columns", s, line, columns)
			}
		}
	}
	con.result([]byte("1\ta"))
	con.note("osp: hello")
	shown := errs.String()
	if !strings.HasSuffix(shown, " \rosp: hello\n") || strings.Count(shown, "\n") != 1 {
		t.Errorf("the bar is still there: %q", shown[max(0, len(shown)-80):])
	}
	if out.String() != "1\ta\n" {
		t.Errorf("stdout %q", out.String())
	}
	con.clear()
	if errs.String() != shown {
		t.Error("a bar that is gone was taken away again")
	}
}

func TestBarText(t *testing.T) {
	many := transfer.Snapshot{Items: 7, ItemsDone: 3, Bytes: 3 << 30, Moved: 1 << 30, Resumed: 1 << 30, Rate: 1 << 20, ETA: time.Second}
	named := many
	named.Name = "a/very/long/way/down/to/the/file-17.tar.gz"
	wide := transfer.Snapshot{Items: 1, Bytes: 1 << 20, Moved: 1 << 10, Name: "日本語日本語日本語日本語.txt"}
	tests := []struct {
		s    transfer.Snapshot
		room int
		want string
	}{
		{transfer.Snapshot{Items: 1, Bytes: 1 << 20, Moved: 1 << 10}, 60, "1.0 KiB/1.0 MiB"},
		{transfer.Snapshot{Items: 1, Bytes: 1 << 20, Moved: 1 << 10, Name: "a"}, 60, "a  1.0 KiB/1.0 MiB"},
		{transfer.Snapshot{Items: 1, Bytes: 1 << 20, Name: "a\x1b[2J"}, 60, `a\x1b[2J  0 B/1.0 MiB`},
		{many, 180, "3/7 files  1.0 GiB/2.0 GiB  1.0 MiB/s  eta 00:01  resumed 1.0 GiB"},
		{many, 60, "3/7 files  1.0 GiB/2.0 GiB  1.0 MiB/s  eta 00:01"},
		{named, 180, "a/very/long/way/down/to/the/file-17.tar.gz  3/7 files  1.0 GiB/2.0 GiB  1.0 MiB/s  eta 00:01  resumed 1.0 GiB"},
		{named, 60, "…o/the/file-17.tar.gz  3/7 files  1.0 GiB/2.0 GiB  1.0 MiB/s"},
		{named, 20, "…he/file-17.tar.gz"},
		{named, 1, ""},
		{named, -5, ""},
		{wide, 40, "…日本語日本語日本語.txt  1.0 KiB/1.0 MiB"},
	}
	for _, tt := range tests {
		if got := barText(tt.s, tt.room); got != tt.want || width(got) > max(tt.room, 0) {
			t.Errorf("text %q (%d columns of %d), want %q", got, width(got), tt.room, tt.want)
		}
	}
}
