package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

func noCheck(Line) error { return nil }

// read reads a batch, and gives what it said of bad lines.
func read(t *testing.T, text string) (*Batch, []string, error) {
	t.Helper()
	var told []string
	b, err := Read(t.Context(), strings.NewReader(text), t.TempDir(), noCheck, func(number int, err error) {
		told = append(told, fmt.Sprintf("%d: %s", number, err))
	})
	if b != nil {
		t.Cleanup(b.Close)
	}
	return b, told, err
}

func lines(t *testing.T, b *Batch) []Line {
	t.Helper()
	var all []Line
	for l, err := range b.Lines() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func TestEveryFieldIsRead(t *testing.T) {
	const text = "\uFEFF# a comment\n" +
		`{"op":"put","path":"a b","name":"x/y","media_type":"text/plain; charset=utf-8","meta":{"k":"v","l":""},"expires":"30d","id":"row 1"}` + "\r\n" +
		"\n  \t\n" +
		`  { "uid" : "381270594817523712", "op":"get", "path":"o", "if_exists":"skip", "id":null }  ` + "\n" +
		`{"op":"rm","uid":"7"}` + "\n" +
		`{"op":"get","uid":"8"}` // the last line need not end
	want := []Line{
		{Number: 2, Op: Put, ID: "row 1", Path: "a b", Name: "x/y", MediaType: "text/plain; charset=utf-8",
			Meta: map[string]string{"k": "v", "l": ""}, Expires: "30d"},
		{Number: 5, Op: Get, UID: 381270594817523712, Path: "o", IfExists: "skip"},
		{Number: 6, Op: Remove, UID: 7},
		{Number: 7, Op: Get, UID: 8},
	}
	b, told, err := read(t, text)
	if err != nil {
		t.Fatal(told, err)
	}
	for range 2 { // they can be read again
		if got := lines(t, b); !reflect.DeepEqual(got, want) {
			t.Errorf("read\n%+v\nwant\n%+v", got, want)
		}
	}
	if b.Len() != 4 || b.Removes() != 1 || b.last != 7 || !b.relative {
		t.Errorf("%d lines, %d rms, the last is %d, relative: %v", b.Len(), b.Removes(), b.last, b.relative)
	}
}

func TestBadLinesAreToldByNumber(t *testing.T) {
	tests := []struct{ line, want string }{
		{`nonsense`, `the line is not JSON, at byte 2: invalid character 'o' in literal null (expecting 'u')`},
		{`{"op":"put"`, `the line is not JSON, at byte 11: unexpected end of JSON input`},
		{`{"op":"rm","uid":"1"} {"op":"rm","uid":"2"}`, `the line is not JSON, at byte 23: invalid character '{' after top-level value`},
		{`["put"]`, `the line is not a JSON object`},
		{`null`, `the line is not a JSON object`},
		{"{\"op\":\"put\",\"path\":\"\xff\"}", `the line is not UTF-8`},
		{`{"op":"put","path":"\ud800"}`, `the line has half a surrogate pair, which is no character`},
		{`{}`, `op is missing: put, get or rm`},
		{`{"path":"a"}`, `op is missing: put, get or rm`},
		{`{"op":null,"path":"a"}`, `op is missing: put, get or rm`},
		{`{"op":1}`, `op is a string, not a number`},
		{`{"op":"cp","path":"a"}`, `op is put, get or rm, not "cp"`},
		{`{"op":"PUT","path":"a"}`, `op is put, get or rm, not "PUT"`},
		{`{"op":"run","path":"a"}`, `a batch cannot run another one`},
		{`{"op":"put"}`, `path is missing: the file to upload`},
		{`{"op":"put","path":null}`, `path is missing: the file to upload`},
		{`{"op":"put","path":"a","path":"b"}`, `the field "path" is given twice`},
		{`{"op":"put","path":"a","meta":{"k":"1","k":"2"}}`, `the field "k" is given twice`},
		{`{"op":"put","path":"a","Name":"b"}`, `put has no field "Name", but op, id, path, name, media_type, meta and expires`},
		{`{"op":"put","path":"a","uid":"1"}`, `put has no field "uid", but op, id, path, name, media_type, meta and expires`},
		{`{"op":"get","uid":"1","name":"b"}`, `get has no field "name", but op, id, uid, path and if_exists`},
		{`{"op":"rm","uid":"1","path":"b"}`, `rm has no field "path", but op, id and uid`},
		{`{"op":"put","path":7}`, `path is a string, not a number`},
		{`{"op":"put","path":["a"]}`, `path is a string, not a list`},
		{`{"op":"put","path":{"a":1}}`, `path is a string, not an object`},
		{`{"op":"put","path":true}`, `path is a string, not true or false`},
		{`{"op":"put","path":""}`, `path is empty`},
		{`{"op":"put","path":"-"}`, `path is -, which is neither standard input nor standard output here; a file of that name is ./-`},
		{`{"op":"put","path":"a\u0000"}`, `path has a zero byte in it`},
		{`{"op":"put","path":"a","name":"../b"}`, `this name is not allowed: segment 1 is ".."`},
		{`{"op":"put","path":"a/.."}`, `path ends in what cannot be a stored name, and there is no name: this name is not allowed: segment 1 is ".."`},
		{`{"op":"put","path":"a","media_type":"text"}`, `"text" is not a media type`},
		{`{"op":"put","path":"a","meta":"k=v"}`, `meta is an object of strings, not a string`},
		{`{"op":"put","path":"a","meta":{"k":1}}`, `meta.k is a string, not a number`},
		{`{"op":"put","path":"a","meta":{"k":null}}`, `meta.k is a string, not null`},
		{`{"op":"put","path":"a","meta":{"k k":"v"}}`, `a key of meta has 1 to 128 of A-Z a-z 0-9 . _ -, this one is "k k"`},
		{`{"op":"put","path":"a","expires":""}`, `expires is empty`},
		{`{"op":"put","path":"a","id":""}`, `id has 1 to 256 bytes, not 0`},
		{`{"op":"put","path":"a","id":"` + strings.Repeat("x", 257) + `"}`, `id has 1 to 256 bytes, not 257`},
		{`{"op":"get"}`, `uid is missing: the file to download, as a string`},
		{`{"op":"get","uid":381270594817523712}`, `uid is a string, not a number: put it in quotes, since programs round numbers that long`},
		{`{"op":"get","uid":"0381"}`, `"0381" is not a uid`},
		{`{"op":"get","uid":"9999999999999999999"}`, `9999999999999999999 is no uid that was ever given out`},
		{`{"op":"get","uid":"1","if_exists":"ask"}`, `if_exists is fail, skip or overwrite, not "ask"`},
		{`{"op":"rm"}`, `uid is missing: the file to delete for good, as a string`},
	}
	for _, tt := range tests {
		// The good lines around it count, and are not told of.
		text := "# one\n" + `{"op":"rm","uid":"77"}` + "\n" + tt.line + "\n" + `{"op":"rm","uid":"78"}`
		b, told, err := read(t, text)
		if want := "3: " + tt.want; b != nil || len(told) != 1 || told[0] != want {
			t.Errorf("%s:\n got %q\nwant %q", tt.line, told, want)
		}
		const whole = "1 of 3 lines are bad; nothing was done"
		if protocol.KindOf(err) != protocol.KindUsage || err.Error() != whole {
			t.Errorf("%s: %v, want %s", tt.line, err, whole)
		}
	}
}

func TestLinesThatContradictEachOther(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.Join([]string{
		`{"op":"put","path":"a","id":"x"}`,
		`{"op":"rm","uid":"1","id":"x"}`,
		`{"op":"put","path":"a"}`, // twice is no contradiction
		`{"op":"put","path":"a"}`,
		`{"op":"get","uid":"2","path":"o"}`,
		`{"op":"get","uid":"2","path":"./o"}`,
		`{"op":"get","uid":"3","path":` + fmt.Sprintf("%q", filepath.Join(dir, "folder", "..", "o")) + `}`,
		`{"op":"get","uid":"4","path":"folder"}`, // a folder may be shared
		`{"op":"get","uid":"5","path":"folder"}`,
		`{"op":"get","uid":"6","path":"later/"}`,
		`{"op":"get","uid":"7","path":"later/"}`,
		`{"op":"get","uid":"8"}`,
		`{"op":"get","uid":"9"}`,
		`{"op":"rm","uid":"9"}`,
		`{"op":"rm","uid":"10"}`,
		`{"op":"get","uid":"10","path":"p"}`,
		`{"op":"rm","uid":"10"}`,
	}, "\n")
	want := []string{
		`2: the id "x" is that of line 1 already`,
		`6: path "./o" is what line 5 writes to already`,
		fmt.Sprintf(`7: path %q is what line 5 writes to already`, filepath.Join(dir, "o")),
		`14: 9 is downloaded by line 13, and lines are run in no order`,
		`16: 10 is removed by line 15, and lines are run in no order`,
		`17: 10 is removed by line 15 already`,
	}
	_, told, err := read(t, text)
	if !reflect.DeepEqual(told, want) {
		t.Errorf("told\n%q\nwant\n%q", told, want)
	}
	if err == nil || err.Error() != "6 of 17 lines are bad; nothing was done" {
		t.Errorf("ended with %v", err)
	}
}

func TestLinesAreLimited(t *testing.T) {
	put := func(n int) string {
		line := `{"op":"put","path":"","name":"x"}`
		return strings.Replace(line, `""`, `"`+strings.Repeat("p", n-len(line))+`"`, 1)
	}
	b, told, err := read(t, put(MaxLine)+"\r\n"+put(MaxLine))
	if err != nil {
		t.Fatal(told, err)
	}
	if got := lines(t, b); len(got) != 2 || len(got[1].Path) != len(got[0].Path) {
		t.Errorf("%d lines", len(got))
	}
	long := put(3 * MaxLine)
	_, told, err = read(t, put(MaxLine+1)+"\n"+long+"\n#"+long+"\n{}\n"+long)
	const tooLong = "the line has more than 65536 bytes"
	want := []string{"1: " + tooLong, "2: " + tooLong, "3: " + tooLong, "4: op is missing: put, get or rm", "5: " + tooLong}
	if !reflect.DeepEqual(told, want) || err == nil {
		t.Errorf("told %q (%v), want %q", told, err, want)
	}
	if _, _, err := read(t, strings.Repeat("\n", MaxLines+1)+"{}"); err == nil || err.Error() != "the batch has more than 10000000 lines; nothing was done" {
		t.Errorf("too many lines: %v", err)
	}
}

// TestWhatIsNoBatchIsNotReadToItsEnd: a large file that is no batch is told of
// in bounded time, memory and disk.
func TestWhatIsNoBatchIsNotReadToItsEnd(t *testing.T) {
	dir := t.TempDir()
	told := 0
	endless := io.MultiReader(strings.NewReader("{}\n"), repeat("x\n"))
	_, err := Read(t.Context(), endless, dir, noCheck, func(int, error) { told++ })
	if told != maxBad || err == nil || err.Error() != "1000 lines are bad, and the rest was not looked at; nothing was done" {
		t.Errorf("%d lines told of, then %v", told, err)
	}
	// A line without an end is told of as soon as it is too long, and a stop
	// still gets through.
	ctx, stop := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	_, err = Read(ctx, repeat("x"), dir, noCheck, func(number int, err error) {
		if number != 1 || err.Error() != "the line has more than 65536 bytes" {
			t.Errorf("told of %d: %v", number, err)
		}
		stop(reason)
	})
	if !errors.Is(err, reason) {
		t.Errorf("a stop ends it with %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// repeat reads one text again and again.
type repeat string

func (r repeat) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte(r), len(p)/len(r))), nil
}

func TestAStreamThatNeverComesCanBeStopped(t *testing.T) {
	in, typist := io.Pipe()
	defer typist.Close()
	ctx, stop := context.WithCancelCause(t.Context())
	reason := protocol.Errorf(protocol.KindInterrupted, "interrupted")
	go func() {
		_, _ = io.WriteString(typist, `{"op":"rm",`)
		stop(reason)
	}()
	if _, err := Read(ctx, in, t.TempDir(), noCheck, func(int, error) {}); !errors.Is(err, reason) {
		t.Errorf("ended with %v", err)
	}
}

// TestTheSourceMayChangeAfterItWasRead: what is run is what was checked.
func TestTheSourceMayChangeAfterItWasRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(path, []byte(`{"op":"rm","uid":"1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := Read(t.Context(), f, t.TempDir(), noCheck, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := os.WriteFile(path, []byte(`{"op":"rm","uid":"2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, b); len(got) != 1 || got[0].UID != 1 {
		t.Errorf("read %+v", got)
	}
}

func TestTheCallersCheckCounts(t *testing.T) {
	bad := errors.New("not this one")
	var told []int
	_, err := Read(t.Context(), strings.NewReader(`{"op":"rm","uid":"1"}`+"\n"+`{"op":"rm","uid":"2"}`), t.TempDir(), func(l Line) error {
		if l.UID == 2 {
			return bad
		}
		return nil
	}, func(number int, err error) {
		if errors.Is(err, bad) {
			told = append(told, number)
		}
	})
	if err == nil || !reflect.DeepEqual(told, []int{2}) {
		t.Errorf("told of %v, then %v", told, err)
	}
}

func TestReadErrorsKeepTheirReason(t *testing.T) {
	broken := errors.New("the disk is on fire")
	_, err := Read(t.Context(), io.MultiReader(strings.NewReader(`{"op":"rm","uid":"1"}`), failing{broken}), t.TempDir(), noCheck, nil)
	if !errors.Is(err, broken) || protocol.KindOf(err) != protocol.KindLocalIO {
		t.Errorf("ended with %v", err)
	}
	if _, err := Read(t.Context(), strings.NewReader(""), filepath.Join(t.TempDir(), "missing"), noCheck, nil); protocol.KindOf(err) != protocol.KindLocalIO {
		t.Errorf("without a folder: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestFieldsTextTellsOfEveryField(t *testing.T) {
	text := FieldsText(func(text string, _ int) string { return text + "\n" })
	for _, f := range fields {
		if !strings.Contains(text, "\n  "+f.name+" ") || !strings.Contains(text, f.text+"\n") {
			t.Errorf("%s of %q is not in\n%s", f.name, f.op, text)
		}
	}
}
