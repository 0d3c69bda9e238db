package batch

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// FuzzLine: a line is refused, or says what it would say if it was written anew
// from what was read.
func FuzzLine(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(text)
		if err != nil {
			if err.Error() == "" || protocol.KindOf(err) == protocol.KindInternal {
				t.Errorf("%q is refused with %v", text, err)
			}
			return
		}
		again, err := json.Marshal(object(l))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(again); err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("%q is %+v, and as %s %+v (%v)", text, l, again, got, err)
		}
	})
}

// object is a line as it would be written.
func object(l Line) map[string]any {
	o := map[string]any{"op": l.Op}
	for name, value := range map[string]string{"id": l.ID, "path": l.Path, "name": l.Name, "media_type": l.MediaType, "expires": l.Expires, "if_exists": l.IfExists} {
		if value != "" {
			o[name] = value
		}
	}
	if l.Meta != nil {
		o["meta"] = l.Meta
	}
	if l.UID != 0 {
		o["uid"] = l.UID
	}
	return o
}

// FuzzBatch: whatever is read as a batch, every line is either given or told of,
// under its own number, and nothing is left behind.
func FuzzBatch(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		told := 0
		b, err := Read(t.Context(), strings.NewReader(text), dir, noCheck, func(number int, _ error) {
			if told++; number < 1 || number > strings.Count(text, "\n")+1 {
				t.Errorf("line %d is told of", number)
			}
		})
		if (err == nil) != (told == 0) {
			t.Fatalf("%d lines told of, and %v", told, err)
		}
		if err == nil {
			given, last := 0, 0
			for l, err := range b.Lines() {
				if err != nil || l.Number <= last {
					t.Fatalf("line %d after %d: %v", l.Number, last, err)
				}
				given, last = given+1, l.Number
			}
			if given != b.Len() || last > b.last {
				t.Errorf("%d of %d lines given, the last is %d of %d", given, b.Len(), last, b.last)
			}
			b.Close()
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v (%v)", left, err)
		}
	})
}

// FuzzJournal: a journal is refused and left as it is, or it can be gone on
// with, and what was read of it is read again.
func FuzzJournal(f *testing.F) {
	b, err := Read(f.Context(), strings.NewReader("{\"op\":\"rm\",\"uid\":\"1\"}\n{\"op\":\"rm\",\"uid\":\"2\"}\n"), f.TempDir(), noCheck, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(b.Close)
	s := Subject{Batch: b, ServerID: "server"}
	header, err := lineOf(s.header("X", protocol.TimeOf(stopped())))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, ours bool) {
		if ours {
			text = string(header) + text
		}
		path := filepath.Join(t.TempDir(), "j")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, _, want := replay(strings.NewReader(text), s)
		j, err := Open(path, s, time.Now)
		if (err == nil) != (want == nil || want == io.ErrUnexpectedEOF) {
			t.Fatalf("opened: %v, replayed: %v", err, want)
		}
		if err != nil {
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, []byte(text)) {
				t.Errorf("it was refused and changed (%v)", err)
			}
			return
		}
		if err := j.Begun(1, 5); err != nil {
			t.Fatal(err)
		}
		second := j.Past(2)
		shut(t, j)
		if j, err = Open(path, s, time.Now); err != nil {
			t.Fatalf("it cannot be opened again: %v", err)
		}
		if got := j.Past(1); got.UID != 5 {
			t.Errorf("line 1 is %+v", got)
		}
		if got := j.Past(2); got != second {
			t.Errorf("line 2 was %+v and is %+v", second, got)
		}
		shut(t, j)
	})
}
