package record

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/osproxy/osproxy/store/local"
)

// must stops a test at an error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, f *FS, name string) local.File {
	t.Helper()
	file, err := f.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	must(t, err)
	return file
}

func write(t *testing.T, file local.File, p []byte, off int64) {
	t.Helper()
	_, err := file.WriteAt(p, off)
	must(t, err)
}

// content reads a file, or gives nil if there is none.
func content(t *testing.T, f *FS, name string) []byte {
	t.Helper()
	file, err := f.OpenOS(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	must(t, err)
	defer file.Close()
	data, err := io.ReadAll(file)
	must(t, err)
	return append([]byte{}, data...)
}

// TestCrash: one file with a synced and an unsynced half, one unsynced name,
// one unsynced removal.
func TestCrash(t *testing.T) {
	f := New()
	must(t, f.Mkdir("d"), f.SyncDir("."))
	kept, gone := create(t, f, "d/kept"), create(t, f, "d/gone")
	a, b := bytes.Repeat([]byte("a"), 6000), bytes.Repeat([]byte("b"), 6000)
	write(t, kept, a, 0)
	must(t, kept.Sync(), gone.Sync(), f.SyncDir("d"))
	write(t, kept, b, 6000)
	write(t, create(t, f, "d/new"), a, 0)
	must(t, f.Remove("d/gone"))

	zeros := make([]byte, 6000)
	for _, c := range []struct {
		v               Variant
		kept, new, gone []byte
	}{
		{Lost, a, nil, []byte{}},
		{Empty, a, []byte{}, nil},
		{Zeros, slices.Concat(a, zeros), zeros, nil},
		{Kept, slices.Concat(a, b), a, nil},
	} {
		after := f.CrashAt(f.Len(), c.v, 0)
		for name, want := range map[string][]byte{"d/kept": c.kept, "d/new": c.new, "d/gone": c.gone} {
			if got := content(t, after, name); !bytes.Equal(got, want) || (got == nil) != (want == nil) {
				t.Errorf("%v: %s has %d bytes (there: %v), want %d", c.v, name, len(got), got != nil, len(want))
			}
		}
	}
	for _, c := range []struct {
		a, b *FS
		same bool
	}{
		{f.CrashAt(f.Len(), Lost, 0), f.CrashAt(f.Len(), Lost, 1), true},
		{f.CrashAt(2, Lost, 0), f.CrashAt(2, Kept, 0), true}, // all is synced
		{f.CrashAt(f.Len(), Lost, 0), f.CrashAt(f.Len(), Empty, 0), false},
		{f.CrashAt(f.Len(), Zeros, 0), f.CrashAt(f.Len(), Kept, 0), false},
		{f.CrashAt(f.Len(), Lost, 0), f.CrashAt(1, Lost, 0), false},
	} {
		if c.a.BeganAs(c.b) != c.same || c.b.BeganAs(c.a) != c.same {
			t.Errorf("%+v and %+v are the same: %v", c.a.base, c.b.base, !c.same)
		}
	}
	if got := content(t, f.CrashAt(1, Lost, 0), "d/kept"); got != nil {
		t.Error("a file was there before it was made")
	}
}

// TestTorn: every mixture comes up, in pieces of 4 KiB, and what was synced is
// in all of them.
func TestTorn(t *testing.T) {
	f := New()
	file := create(t, f, "f")
	write(t, file, []byte("synced"), 0)
	must(t, file.Sync(), f.SyncDir("."))
	write(t, file, bytes.Repeat([]byte("x"), 2*piece), piece)
	seen := map[string]bool{}
	for seed := range uint64(200) {
		data := content(t, f.CrashAt(f.Len(), Torn, seed), "f")
		if !bytes.HasPrefix(data, []byte("synced")) {
			t.Fatalf("seed %d: the synced bytes are gone", seed)
		}
		shape := []byte{}
		for off := piece; off < len(data); off += piece {
			p := data[off:min(off+piece, len(data))]
			if n := bytes.Count(p, []byte("x")); n != 0 && n != len(p) {
				t.Fatalf("seed %d: a piece is torn", seed)
			}
			shape = append(shape, p[0])
		}
		seen[string(shape)] = true
	}
	for _, shape := range []string{"", "\x00\x00", "x", "x\x00", "\x00x", "xx"} {
		if !seen[shape] {
			t.Errorf("never saw %q", shape)
		}
	}
}

// TestCrashOfACrash: what one power cut left is durable for the next.
func TestCrashOfACrash(t *testing.T) {
	f := New()
	write(t, create(t, f, "f"), []byte("abc"), 0)
	once := f.CrashAt(f.Len(), Kept, 0)
	twice := once.CrashAt(once.Len(), Lost, 0)
	if got := content(t, twice, "f"); string(got) != "abc" {
		t.Errorf("after two power cuts: %q", got)
	}
	write(t, create(t, twice, "g"), []byte("def"), 0)
	if got := content(t, twice, "f"); string(got) != "abc" {
		t.Errorf("a new file took the place of an old one: %q", got)
	}
}

// TestFailedSync: what a failed sync dropped, no later one brings back.
func TestFailedSync(t *testing.T) {
	f := New()
	file := create(t, f, "f")
	must(t, f.SyncDir("."))
	f.Inject(Nth(SyncFile, 1, syscall.EIO))
	write(t, file, []byte("abc"), 0)
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: %v", err)
	}
	write(t, file, []byte("def"), 3)
	must(t, file.Sync())
	if got := content(t, f, "f"); string(got) != "abcdef" {
		t.Errorf("the running system sees %q", got)
	}
	if got := content(t, f.CrashAt(f.Len(), Lost, 0), "f"); string(got) != "\x00\x00\x00def" {
		t.Errorf("after a power cut: %q", got)
	}
}

func TestDropSyncs(t *testing.T) {
	f := New()
	f.DropSyncs(func(op Op) bool { return op.Kind == SyncFile && op.Name == "f" })
	for _, name := range []string{"f", "g"} {
		file := create(t, f, name)
		write(t, file, []byte("abc"), 0)
		must(t, file.Sync())
	}
	must(t, f.SyncDir("."))
	after := f.CrashAt(f.Len(), Lost, 0)
	if f, g := content(t, after, "f"), content(t, after, "g"); len(f) != 0 || string(g) != "abc" {
		t.Errorf("f %q, g %q", f, g)
	}
}

func TestOnOp(t *testing.T) {
	f := New()
	var ks []int
	f.OnOp(func(k int) {
		ks = append(ks, k)
		if f.Len() != k || len(f.Log()) != k || f.CrashAt(k, Kept, 0) == nil {
			t.Errorf("the log has %d operations after number %d", f.Len(), k)
		}
	})
	file := create(t, f, "f")
	write(t, file, []byte("abc"), 0)
	must(t, file.Sync())
	if _, err := f.Stat("f"); err != nil {
		t.Error(err)
	}
	if !slices.Equal(ks, []int{1, 2, 3}) {
		t.Errorf("hook called with %v", ks)
	}
}

func TestRoom(t *testing.T) {
	f := New()
	f.SetRoom(10)
	file := create(t, f, "f")
	write(t, file, make([]byte, 8), 0)
	write(t, file, make([]byte, 8), 0) // no growth
	if _, err := file.WriteAt(make([]byte, 3), 8); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write beyond the room: %v", err)
	}
	if n, err := f.Free(); n != 2 || err != nil {
		t.Errorf("free: %d, %v", n, err)
	}
	must(t, f.Remove("f"))
	if n, err := f.Free(); n != 10 || err != nil {
		t.Errorf("free after a remove: %d, %v", n, err)
	}
}

// TestNames: errors are those of a file system.
func TestNames(t *testing.T) {
	f := New()
	must(t, f.Mkdir("d"), create(t, f, "d/f").Close(), f.Link("d/f", "d/g"))
	open := func(name string, flag int) error {
		_, err := f.Open(name, flag)
		return err
	}
	for _, c := range []struct {
		what      string
		err, want error
	}{
		{"open nothing", open("x", os.O_RDONLY), fs.ErrNotExist},
		{"create in nothing", open("x/y", os.O_CREATE), fs.ErrNotExist},
		{"create again", open("d/f", os.O_CREATE), nil},
		{"create again, alone", open("d/f", os.O_CREATE|os.O_EXCL), fs.ErrExist},
		{"climb out", open("../f", os.O_RDONLY), fs.ErrInvalid},
		{"make again", f.Mkdir("d"), fs.ErrExist},
		{"link over", f.Link("d/f", "d/g"), fs.ErrExist},
		{"link nothing", f.Link("d/x", "d/y"), fs.ErrNotExist},
		{"remove what is not empty", f.Remove("d"), syscall.ENOTEMPTY},
		{"remove nothing", f.Remove("d/x"), fs.ErrNotExist},
		{"remove", f.Remove("d/f"), nil},
		{"remove the other name", f.Remove("d/g"), nil},
		{"remove what is empty", f.Remove("d"), nil},
		{"sync nothing", f.SyncDir("d"), fs.ErrNotExist},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
	file := create(t, f, "f")
	must(t, file.Close())
	for _, err := range []error{file.Close(), file.Sync()} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("use after close: %v", err)
		}
	}
}
