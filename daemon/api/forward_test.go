package api

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
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

// TestWhatIsNewIsPutWhereThereIsRoom: what makes something goes to the node that was
// chosen, and everything that comes after it goes there too. That node would have
// chosen another meanwhile, and takes it all the same.
func TestWhatIsNewIsPutWhereThereIsRoom(t *testing.T) {
	p := startPair(t, meta.Quota{}, func(*Config) {})
	p.sends.chosen, p.owns.chosen = ownerNode, senderNode
	small, data, alice := noise(100), noise(9<<20), p.sender.as("alice")
	owner := p.owner.with(alice.token)
	one := into[protocol.File](t, alice.oneShot("name=one", small, "Idempotency-Key", "a"), http.StatusCreated)
	if again := into[protocol.File](t, owner.oneShot("name=one", small, "Idempotency-Key", "a"), http.StatusCreated); again.UID != one.UID {
		t.Errorf("the same request at the other node makes %s beside %s", again.UID, one.UID)
	}
	large := alice.upload("large", data)
	l := alice.link(`{"action": "put", "name": "by a link"}`)
	linked := into[protocol.File](t, p.sender.do(http.MethodPut, "/l/"+l.Token, string(data)), http.StatusCreated)
	whole, chunks := alice.v0Links("a.txt")[0], alice.v0Links("b.txt")[0]
	p.sender.v0Put(whole.URL.Single, data).v0(t, http.StatusOK)
	p.sender.v0Chunk(chunks, 1, small, md5Of(small)).v0(t, http.StatusOK)
	p.sender.v0Merge(chunks, 1, len(small), md5Of(small)).v0(t, http.StatusOK)
	uids := []string{one.UID.String(), large.UID.String(), linked.UID.String(), whole.UID, chunks.UID}
	for i, want := range []int{len(small), len(data), len(data), len(data), len(small)} {
		before := strings.Count(p.owner.log.String(), "handed_to")
		if a := owner.do(http.MethodGet, "/v1/files/"+uids[i]+"/content", ""); a.StatusCode != http.StatusOK || len(a.body) != want {
			t.Errorf("%d comes back as %s, %d bytes", i, a.Status, len(a.body))
		}
		if strings.Count(p.owner.log.String(), "handed_to") != before {
			t.Errorf("%d does not lie where it was to be put", i)
		}
	}
	into[protocol.File](t, alice.oneShot("name=empty", nil), http.StatusCreated)
}

// TestV0ProxyInACluster: whichever node is asked, the address is that of the one
// which has the bytes, also before there is a file.
func TestV0ProxyInACluster(t *testing.T) {
	p := startPair(t, meta.Quota{}, func(*Config) {})
	owner := p.owner.as("alice")
	sender := p.sender.with(owner.token)
	whole, begun := owner.v0Links("a.txt")[0], owner.v0Links("b.txt")[0]
	p.owner.v0Put(whole.URL.Single, noise(10)).v0(t, http.StatusOK)
	p.owner.v0Chunk(begun, 1, noise(10), md5Of(noise(10))).v0(t, http.StatusOK)
	for _, uid := range []string{whole.UID, begun.UID} {
		for at, o := range map[string]*ospd{"the owner": owner, "the other": sender} {
			if got := v0Into[string](t, o.do(http.MethodGet, v0Prefix+"/proxy?uid="+uid, "")); got != p.owner.addr {
				t.Errorf("asked at %s it is %q, want %q", at, got, p.owner.addr)
			}
		}
	}
	sender.do(http.MethodGet, v0Prefix+"/proxy?uid=1", "").v0(t, http.StatusNotFound)
}

// TestLongTargetsThroughAPeer: what fits into the header of a request fits where it
// is handed on, and no byte of it changes.
func TestLongTargetsThroughAPeer(t *testing.T) {
	p := startPair(t, meta.Quota{}, func(*Config) {})
	p.sends.chosen = ownerNode
	odd := "a/b:c,d'e(f)g@h!i$j*k~l?m=n"
	query := "name=" + odd + "%25%26%2B%3B%23+%C3%BC%E2%82%AC"
	for i := range 6 {
		query += "&meta.k" + strconv.Itoa(i) + "=" + strings.Repeat("/:@,", 500)
	}
	query += "&meta.last=" + strings.Repeat("/", 2000)
	f := into[protocol.File](t, p.sender.oneShot(query, []byte("hello"), "If-None-Match", "*"), http.StatusCreated)
	if f.Name != odd+"%&+;# ü€" || len(f.Meta) != 7 || f.Meta["k2"] != strings.Repeat("/:@,", 500) {
		t.Errorf("it is recorded as %q with %d entries", f.Name, len(f.Meta))
	}
	if !strings.Contains(p.sender.log.String(), "handed_to") {
		t.Error("it was not handed on")
	}
	p.same(t, http.MethodGet, contentPath(f.UID), "", "If-None-Match", strings.Repeat(`"x", `, 1800)+f.ETag)
}
