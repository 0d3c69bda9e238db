package batch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/protocol"
)

// stopped is a clock that stands still.
func stopped() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC) }

// subjectOf is a batch of n rms, on the daemon "server".
func subjectOf(t *testing.T, n int) Subject {
	t.Helper()
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `{"op":"rm","uid":"%d"}`+"\n", i+1)
	}
	b, told, err := read(t, text.String())
	if err != nil {
		t.Fatal(told, err)
	}
	return Subject{Batch: b, ServerID: "server", Dir: "/here"}
}

func open(t interface {
	Helper()
	Fatal(...any)
}, path string, s Subject) *Journal {
	t.Helper()
	j, err := Open(path, s, stopped)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func shut(t interface {
	Helper()
	Fatal(...any)
}, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// began is Begin without its time.
func began(j *Journal, line int) error {
	_, err := j.Begin(line)
	return err
}

func done(line int, uid protocol.UID) End {
	size, path := int64(line)*10, "a\u2028<b>\x01"
	return End{Line: line, Op: Put, OK: true, Outcome: "uploaded", UID: &uid, Size: &size, Path: &path, Digest: &protocol.Digest{byte(line)}}
}

func failed(line int, code protocol.Kind) End {
	return End{Line: line, Op: Put, Outcome: "failed", Code: &code}
}

func TestJournalRemembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	s := subjectOf(t, 4)
	j := open(t, path, s)
	key := j.Key(2)
	for _, err := range []error{began(j, 1), began(j, 2), j.Begun(2, 22), began(j, 3), j.End(done(1, 11)), j.End(failed(3, protocol.KindLocalMissing))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	shut(t, j)

	j = open(t, path, s)
	defer shut(t, j)
	at := protocol.TimeOf(stopped())
	for line, want := range []Past{1: {Done: true}, 2: {Failed: true, Open: true, Since: at, UID: 22}, 3: {Failed: true}, 4: {}, 5: {}} {
		got := j.Past(line)
		if !got.Open {
			got.Since = protocol.Time{}
		}
		if line > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("line %d: %+v, want %+v", line, got, want)
		}
	}
	want := done(1, 11)
	want.Type, want.At = typeEnd, at
	if got, err := j.Ended(1); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("line 1 ended with %+v (%v), want %+v", got, err, want)
	}
	if j.Done() != 1 || j.Key(2) != key || j.Key(1) == key {
		t.Errorf("%d done, keys %q and %q, before %q", j.Done(), j.Key(1), j.Key(2), key)
	}
	if _, err := j.Ended(3); err == nil {
		t.Error("a line that is not done has an end")
	}
}

// TestWhatAFailureLeavesOpen: whether the daemon may have done what it was
// asked for, whether an upload can go on, and whether the key is still good.
func TestWhatAFailureLeavesOpen(t *testing.T) {
	tests := []struct {
		code               protocol.Kind
		open, uid, sameKey bool
	}{
		{protocol.KindNetwork, true, true, true},
		{protocol.KindInterrupted, true, true, true},
		{protocol.KindTerminated, true, true, true},
		{protocol.KindTimeout, true, true, true},
		{protocol.KindInternal, true, true, true},
		{protocol.KindDraining, true, true, true},
		{protocol.KindStoreFull, true, true, true},
		{protocol.Kind("of a newer daemon"), true, true, true},
		{protocol.KindNotFound, false, true, true},
		{protocol.KindForbidden, false, true, true},
		{protocol.KindQuotaExceeded, false, true, true},
		{protocol.KindLocalMissing, false, true, true},
		{protocol.KindLocalChanged, false, true, true},
		{protocol.KindUsage, false, true, true},
		{protocol.KindConflict, false, false, false},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "j")
		s := subjectOf(t, 1)
		j := open(t, path, s)
		key := j.Key(1)
		for _, err := range []error{began(j, 1), j.Begun(1, 5), j.End(failed(1, tt.code))} {
			if err != nil {
				t.Fatal(err)
			}
		}
		shut(t, j)
		j = open(t, path, s)
		p := j.Past(1)
		if p.Done || !p.Failed || p.Open != tt.open || (p.UID == 5) != tt.uid || (j.Key(1) == key) != tt.sameKey {
			t.Errorf("%s: %+v, key %q, before %q", tt.code, p, j.Key(1), key)
		}
		shut(t, j)
	}
}

// TestAFailureThatSaysNothingOfEarlierTries: what ends a try before the daemon
// has looked for an earlier one leaves that as open, and as old, as it was.
func TestAFailureThatSaysNothingOfEarlierTries(t *testing.T) {
	tests := []struct {
		code protocol.Kind
		open bool
	}{
		{protocol.KindLocalMissing, true},
		{protocol.KindLocalIO, true},
		{protocol.KindUsage, true},
		{protocol.KindUnauthenticated, true},
		{protocol.KindForbidden, true},
		{protocol.KindBadHost, true},
		{protocol.KindRateLimited, true},
		{protocol.KindBadRequest, false},
		{protocol.KindQuotaExceeded, false},
		{protocol.KindConflict, false},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "j")
		s := subjectOf(t, 1)
		at := stopped()
		j, err := Open(path, s, func() time.Time { at = at.Add(time.Minute); return at })
		if err != nil {
			t.Fatal(err)
		}
		first := at.Add(time.Minute)
		// The first try was killed.
		for _, err := range []error{began(j, 1), began(j, 1), j.End(failed(1, tt.code)), began(j, 1), j.End(failed(1, tt.code))} {
			if err != nil {
				t.Fatal(err)
			}
		}
		shut(t, j)
		j = open(t, path, s)
		p := j.Past(1)
		if p.Done || !p.Failed || p.Open != tt.open || tt.open && !p.Since.Equal(first) {
			t.Errorf("%s: %+v, want it open: %v, since %v", tt.code, p, tt.open, first)
		}
		shut(t, j)
	}
}

// TestSinceIsTheFirstTryThatMayCount: a line that stays open stays as old as its
// first try; one that was settled begins anew.
func TestSinceIsTheFirstTryThatMayCount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	s := subjectOf(t, 2)
	at := stopped()
	j, err := Open(path, s, func() time.Time { at = at.Add(time.Minute); return at })
	if err != nil {
		t.Fatal(err)
	}
	first := at.Add(time.Minute)
	for _, err := range []error{
		began(j, 1), j.End(failed(1, protocol.KindNetwork)), began(j, 1),
		began(j, 2), j.End(failed(2, protocol.KindLocalMissing)), began(j, 2),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	last := at
	shut(t, j)
	j = open(t, path, s)
	defer shut(t, j)
	if got := [2]time.Time{j.Past(1).Since.Time, j.Past(2).Since.Time}; !got[0].Equal(first) || !got[1].Equal(last) {
		t.Errorf("since %v, want %v and %v", got, first, last)
	}
}

func TestJournalOfAnotherSubjectIsRefused(t *testing.T) {
	dir := t.TempDir()
	rms := subjectOf(t, 2)
	b, told, err := read(t, `{"op":"put","path":"relative"}`)
	if err != nil {
		t.Fatal(told, err)
	}
	puts := Subject{Batch: b, ServerID: "server", Dir: "/here"}
	for name, s := range map[string]Subject{"rms": rms, "puts": puts} {
		shut(t, open(t, filepath.Join(dir, name), s))
	}
	elsewhere := func(s Subject) Subject { s.Dir = "/there"; return s }
	other := func(s Subject) Subject { s.ServerID = "other"; return s }
	tests := []struct {
		name, path string
		s          Subject
		want       string // "" for accepted
	}{
		{"the same", "rms", rms, ""},
		{"another folder without paths", "rms", elsewhere(rms), ""},
		{"another folder", "puts", elsewhere(puts), "it was begun in the folder /here, and paths in the batch are relative to that"},
		{"another batch", "rms", subjectOf(t, 3), "it is the journal of another batch (begun 2026-11-22T10:00:00.000Z, 2 lines), or this one was changed since"},
		{"another daemon", "rms", other(rms), "it is of another daemon (server; this one is other)"},
	}
	for _, tt := range tests {
		path := filepath.Join(dir, tt.path)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		j, err := Open(path, tt.s, stopped)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			shut(t, j)
		} else if want := "the journal " + path + " cannot be used and was left as it is: " + tt.want; err == nil || err.Error() != want || protocol.KindOf(err) != protocol.KindUsage {
			t.Errorf("%s: %v, want %s", tt.name, err, want)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("%s: the journal was changed (%v)", tt.name, err)
		}
	}
	// Where nothing is to be done, it is not known which daemon it would be.
	s := rms
	s.ServerID = ""
	if h, err := Peek(filepath.Join(dir, "rms"), s); err != nil || h.Done() != 0 {
		t.Errorf("peek: %v", err)
	} else {
		h.Close()
	}
}

// TestWhatIsNoJournalIsLeftAlone: a file that was named by mistake.
func TestWhatIsNoJournalIsLeftAlone(t *testing.T) {
	s := subjectOf(t, 2)
	const header = `{"v":1,"type":"journal","id":"X","batch":"?","lines":2,"server_id":"server","dir":null,"created":"2026-11-22T10:00:00.000Z"}`
	good := strings.Replace(header, "?", fmt.Sprintf("%x", s.Batch.sum), 1) + "\n"
	tests := []struct{ text, want string }{
		{"a letter to mother", "it is no journal of osp run"},
		{"a letter\nto mother\n", "it is no journal of osp run"},
		{strings.Repeat("x", 2*maxRecord), "it is no journal of osp run"},
		{`{"v":1,"type":"other"}`, "it is no journal of osp run"},
		{`{"v":1,"type":"other"}` + "\n", "it is no journal of osp run"},
		{"\x00\x00\x00", "it is no journal of osp run"},
		{"\n", "it is no journal of osp run"},
		{`{"v":2,"type":"journal"}` + "\n", "it has version 2, and this osp knows up to 1"},
		{good + "{}\n", "its line 2 is damaged: the batch has no line 0"},
		{good + `{"type":"begin","line":3}` + "\n", "its line 2 is damaged: the batch has no line 3"},
		{good + `{"type":"begin","line":1}` + "\n\x00\x00\n", "its line 3 is damaged: invalid character '\\x00' looking for beginning of value"},
		{good + `{"type":"pause","line":1}` + "\n", `its line 2 is damaged: "pause" is not a type of line`},
		{good + `{"type":"begin","line":1,"uid":"0"}` + "\n", `its line 2 is damaged: "0" is not a uid`},
		{good + strings.Repeat("x", 2*maxRecord), "its line 2 is damaged: it is too long"},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "j")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		want := "the journal " + path + " cannot be used and was left as it is: " + tt.want
		_, err := Open(path, s, stopped)
		_, peeking := Peek(path, s)
		if err == nil || err.Error() != want || peeking == nil || peeking.Error() != want {
			t.Errorf("%.60q: %v and %v, want %s", tt.text, err, peeking, want)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != tt.text {
			t.Errorf("%.60q was changed (%v)", tt.text, err)
		}
	}
	dir := t.TempDir()
	if _, err := Open(dir, s, stopped); err == nil || err.Error() != "the journal "+dir+" is not a regular file" {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "no", "j"), s, stopped); protocol.KindOf(err) != protocol.KindLocalIO {
		t.Errorf("no folder: %v", err)
	}
	h, err := Peek(filepath.Join(dir, "none"), s)
	if err != nil || h.Past(1).Failed || h.Done() != 0 {
		t.Errorf("peek at nothing: %v", err)
	}
	h.Close()
}

func TestOneProcessHoldsAJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	s := subjectOf(t, 1)
	j := open(t, path, s)
	if _, err := Open(path, s, stopped); protocol.KindOf(err) != protocol.KindBusy {
		t.Errorf("the second: %v", err)
	}
	shut(t, j)
	shut(t, open(t, path, s))
}

// TestAJournalThatCannotBeWrittenStaysFailed: nothing is ever written behind a
// line that may be torn.
func TestAJournalThatCannotBeWrittenStaysFailed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j := open(t, path, subjectOf(t, 2))
	file := j.f
	closed, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	j.f = closed
	if err := began(j, 1); protocol.KindOf(err) != protocol.KindLocalIO || !errors.Is(err, os.ErrClosed) {
		t.Errorf("Begin: %v", err)
	}
	j.f = file
	if err := j.End(done(1, 1)); err == nil || j.Err() == nil {
		t.Errorf("End after it: %v, Err %v", err, j.Err())
	}
	if err := j.Close(); err == nil {
		t.Error("Close says nothing of it")
	}
}

// TestJournalCutAnywhere: whatever a journal holds and wherever a kill tears it,
// the next run knows all that whole lines say and nothing else, and goes on
// behind them.
func TestJournalCutAnywhere(t *testing.T) {
	const count = 5
	s := subjectOf(t, count)
	kinds := []protocol.Kind{protocol.KindNetwork, protocol.KindNotFound, protocol.KindLocalMissing, protocol.KindConflict}
	path := filepath.Join(t.TempDir(), "j")
	rapid.Check(t, func(t *rapid.T) {
		const id = "X"
		text := mustLine(t, s.header(id, protocol.TimeOf(stopped())))
		// model[i] are the states, and offsets[i] the size, after i lines.
		model := [][]state{make([]state, count+1)}
		offsets := []int64{int64(len(text))}
		for range rapid.IntRange(0, 6).Draw(t, "lines") {
			line := rapid.IntRange(1, count).Draw(t, "line")
			next := slices.Clone(model[len(model)-1])
			text = append(text, draw(t, line, &next[line], kinds, int64(len(text)))...)
			model, offsets = append(model, next), append(offsets, int64(len(text)))
		}
		for cut := range len(text) + 1 {
			n := wholeLines(offsets, cut)
			h, lines, whole, err := replay(bytes.NewReader(text[:cut]), s)
			if n < 0 {
				if err != io.ErrUnexpectedEOF {
					t.Fatalf("cut in the header, at %d: %v", cut, err)
				}
			} else if err != nil || h.ID != id || whole != offsets[n] || !reflect.DeepEqual(lines, model[n]) {
				t.Fatalf("cut at %d: %v, id %s, %d bytes whole, %+v, want %s, %d, %+v", cut, err, h.ID, whole, lines, id, offsets[n], model[n])
			}
		}
		goOn(t, path, s, text, model, offsets)
	})
}

// goOn cuts the journal somewhere and has one more line written behind it.
func goOn(t *rapid.T, path string, s Subject, text []byte, model [][]state, offsets []int64) {
	cut := rapid.IntRange(0, len(text)).Draw(t, "cut")
	if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
		t.Fatal(err)
	}
	n := max(wholeLines(offsets, cut), 0)
	j := open(t, path, s)
	end := size(t, path)
	if err := j.End(done(1, 99)); err != nil {
		t.Fatal(err)
	}
	shut(t, j)
	want := slices.Clone(model[n])
	want[1].settle(done(1, 99), end)
	j = open(t, path, s)
	defer shut(t, j)
	if !reflect.DeepEqual(j.lines, want) {
		t.Fatalf("cut at %d and gone on: %+v, want %+v", cut, j.lines, want)
	}
	if e, err := j.Ended(1); err != nil || *e.UID != 99 {
		t.Fatalf("line 1 ended with %+v (%v)", e, err)
	}
}

// wholeLines are how many lines after the header are whole in the first cut
// bytes, -1 where the header is not.
func wholeLines(offsets []int64, cut int) int {
	n := -1
	for n+1 < len(offsets) && offsets[n+1] <= int64(cut) {
		n++
	}
	return n
}

// draw makes one line, which would be at offset, and adds it to the model.
func draw(t *rapid.T, line int, model *state, kinds []protocol.Kind, offset int64) []byte {
	b := begin{Type: typeBegin, Line: line, At: protocol.TimeOf(stopped())}
	end := done(line, 3)
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 1:
		uid := protocol.UID(rapid.IntRange(1, 9).Draw(t, "uid"))
		b.UID = &uid
		fallthrough
	case 0:
		model.begin(b)
		return mustLine(t, b)
	case 3:
		end = failed(line, rapid.SampledFrom(kinds).Draw(t, "code"))
	}
	end.Type = typeEnd
	model.settle(end, offset)
	return mustLine(t, end)
}

func mustLine(t *rapid.T, v any) []byte {
	text, err := lineOf(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func size(t interface{ Fatal(...any) }, path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
