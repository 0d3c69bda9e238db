package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
)

// whole is an answer but for what is of the connection or of the moment.
func whole(a answer) string {
	var lines []string
	for name, values := range a.Header {
		switch name {
		case "Date", "Connection":
			continue
		}
		lines = append(lines, name+": "+strings.Join(values, " | "))
	}
	slices.Sort(lines)
	text := fmt.Sprintf("%d length %d\n%s\n\n%s", a.StatusCode, a.ContentLength, strings.Join(lines, "\n"), a.body)
	if _, boundary, ok := strings.Cut(a.Header.Get("Content-Type"), "boundary="); ok {
		text = strings.ReplaceAll(text, boundary, "BOUNDARY")
	}
	return text
}

// same asks both nodes and compares their answers.
func (p *pair) same(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	header = append(slices.Clone(header), "X-Request-Id", "the-same")
	own, handed := p.owner.do(method, path, body, header...), p.sender.do(method, path, body, header...)
	if whole(own) != whole(handed) || own.err != nil || handed.err != nil {
		t.Errorf("%s %s %v: the owner answers\n%.2000s (%v)\nand through the other node it is\n%.2000s (%v)", method, path, header, whole(own), own.err, whole(handed), handed.err)
	}
	return handed
}

// TestReadsThroughAPeer: whatever a reader asks, any node gives the owner's answer.
func TestReadsThroughAPeer(t *testing.T) {
	p := startPair(t, meta.Quota{}, func(*Config) {})
	for _, size := range []int{0, 1, 20 << 10, 40 << 10, 9 << 20} {
		f := p.owner.upload("a \"naïve\" name.html", noise(size))
		for _, c := range [][]string{
			nil, {"Range", "bytes=0-9"}, {"Range", "bytes=-1"}, {"Range", "bytes=0-9,4194300-4194309,-5"}, {"Range", "bytes=0-9,\t-5"}, {"Range", "bytes=99999999-"}, {"Range", "lines=1-2"}, {"Range", ""},
			{"Range", "bytes=0-9", "If-Range", f.ETag}, {"Range", "bytes=0-9", "If-Range", `"other"`},
			{"If-Match", f.ETag}, {"If-Match", `"x"`}, {"If-None-Match", f.ETag}, {"If-None-Match", `"x", ` + f.ETag}, {"If-None-Match", "*"},
			{"If-Modified-Since", "Sun, 06 Nov 2094 08:49:37 GMT"}, {"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"If-Modified-Since", "yesterday"},
		} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				a := p.same(t, method, contentPath(f.UID), "", c...)
				if c == nil && a.ContentLength != int64(size) {
					t.Errorf("%s of %d bytes has length %d", method, size, a.ContentLength)
				}
			}
		}
		p.same(t, http.MethodGet, contentPath(f.UID)+"?disposition=inline", "")
		p.same(t, http.MethodGet, contentPath(f.UID)+"?disposition=sideways", "")
		p.same(t, http.MethodGet, "/v1/files/"+f.UID.String()+"/blocks", "", "Range", "bytes=0-9")
	}
	if !strings.Contains(p.sender.log.String(), "handed_to") {
		t.Error("nothing was handed on")
	}
}
