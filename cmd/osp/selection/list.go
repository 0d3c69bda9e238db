package selection

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/cmd/osp/input"
	"github.com/osproxy/osproxy/protocol"
)

// list gives the files of the list.
func (sc *scan) list() bool {
	sc.from, sc.over = sc.ListName, false
	entries := bufio.NewScanner(input.UntilDone(sc.ctx, sc.List))
	entries.Buffer(nil, maxLine)
	entries.Split(splitAt('\n'))
	if sc.Null {
		entries.Split(splitAt(0))
	}
	n := 0
	for entries.Scan() {
		n++
		if sc.ctx.Err() != nil {
			break
		}
		if path := entries.Text(); path != "" && !sc.listed(path) {
			return false
		}
	}
	switch err := entries.Err(); {
	case sc.ctx.Err() != nil:
		return sc.stopped()
	case err != nil:
		return sc.fail(sc.ListName, &protocol.Error{Kind: protocol.KindLocalIO, Err: err,
			Message: fmt.Sprintf("the list of files cannot be read after entry %d; those before it are put", n)})
	}
	return true
}

// listed is a file or folder of the list. Both are named, and filtered, by the
// whole path, but for what leads out of the current folder.
func (sc *scan) listed(p string) bool {
	info, err := os.Stat(p)
	if err != nil || info.IsDir() && !sc.Recursive {
		return sc.give(Entry{Path: p}) // putting it says what is wrong
	}
	name := path.Clean("/" + filepath.ToSlash(p[len(filepath.VolumeName(p)):]))[1:]
	elements := slices.DeleteFunc(strings.Split(name, "/"), func(e string) bool { return e == "" })
	if !info.IsDir() {
		return sc.file(Entry{Path: p, Name: name}, elements, info)
	}
	v := sc.Filter.folder(elements)
	return sc.Filter.skips(v) || sc.folder(folder{path: p, name: name, elements: elements, verdict: v})
}

// splitAt cuts at each end, which the last entry may lack. Unlike
// bufio.ScanLines it leaves a carriage return alone: it may be part of a name.
func splitAt(end byte) bufio.SplitFunc {
	return func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, end); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF && len(data) > 0 {
			return len(data), data, nil
		}
		return 0, nil, nil
	}
}
