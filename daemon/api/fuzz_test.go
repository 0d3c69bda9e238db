package api

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/protocol"
)

// FuzzRange: the bytes that are served are those that are asked for, no more
// and no fewer, as a second reading of the field has it.
func FuzzRange(f *testing.F) {
	spec := regexp.MustCompile(`\A([0-9]*)[ \t]*-[ \t]*([0-9]*)\z`)
	// Of a range that begins after the end no more is looked at, as net/http does.
	begun := regexp.MustCompile(`\A([0-9]+)[ \t]*-`)
	f.Fuzz(func(t *testing.T, field string, size int64) {
		size = min(max(size, 0), 64)
		spans, err := parseRange(field, size)
		if err != nil {
			if protocol.KindOf(err) != protocol.KindRange {
				t.Fatalf("%q: %v", field, err)
			}
			return
		}
		var served, asked [64]int
		var sum int64
		for _, s := range spans {
			if s.off < 0 || s.n < 1 || s.off+s.n > size {
				t.Fatalf("%q of %d bytes: %+v", field, size, s)
			}
			sum += s.n
			for at := s.off; at < s.off+s.n; at++ {
				served[at]++
			}
		}
		if sum > size || len(spans) > maxRanges {
			t.Fatalf("%q of %d bytes: %d bytes in %d ranges", field, size, sum, len(spans))
		}
		if len(spans) == 0 {
			return // the whole
		}
		_, set, _ := strings.Cut(field, "=")
		for one := range strings.SplitSeq(set, ",") {
			if one = strings.Trim(one, " \t"); one == "" {
				continue
			}
			if m := begun.FindStringSubmatch(one); m != nil && beyond(m[1], size) {
				continue
			}
			m := spec.FindStringSubmatch(one)
			if m == nil {
				t.Fatalf("%q was read, and %q is no range", field, one)
			}
			mark(asked[:size], m[1], m[2])
		}
		if served != asked {
			t.Errorf("%q of %d bytes: served %v, asked %v", field, size, served, asked)
		}
	})
}

// number is a number of any length, or another one for no text.
func number(text string, or int64) *big.Int {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return big.NewInt(or)
	}
	return n
}

func beyond(first string, size int64) bool { return number(first, 0).Cmp(big.NewInt(size)) >= 0 }

// mark counts the bytes that first-last asks for.
func mark(asked []int, first, last string) {
	size := int64(len(asked))
	for at := range asked {
		here := big.NewInt(int64(at))
		in := here.Cmp(number(first, 0)) >= 0 && here.Cmp(number(last, size)) <= 0
		if first == "" {
			in = here.Cmp(new(big.Int).Sub(big.NewInt(size), number(last, 0))) >= 0
		}
		if in {
			asked[at]++
		}
	}
}

// FuzzDisposition: whatever a name is, the field is one line of ASCII; and a
// name that a file may have reads back.
func FuzzDisposition(f *testing.F) {
	f.Fuzz(func(t *testing.T, name string, inline bool) {
		field := disposition(inline, name)
		if strings.ContainsFunc(field, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q: %q", name, field)
		}
		kind, params, err := mime.ParseMediaType(field)
		if err != nil || kind != map[bool]string{true: "inline", false: "attachment"}[inline] || len(params) != 1 {
			t.Fatalf("%q: %q reads as %q %q, %v", name, field, kind, params, err)
		}
		if names.Check(name) == nil && params["filename"] != name {
			t.Errorf("%q: %q reads back as %q", name, field, params["filename"])
		}
	})
}

// FuzzConditional: a condition holds for no file that it does not name.
func FuzzConditional(f *testing.F) {
	const etag = `"u7"`
	f.Fuzz(func(t *testing.T, field string) {
		strong, weak := listed(field, etag, strongMatch), listed(field, etag, weakMatch)
		if strong && !weak {
			t.Errorf("%q matches as strong and not as weak", field)
		}
		if weak && !strings.Contains(field, etag) && !strings.Contains(field, "*") {
			t.Errorf("%q matches %s", field, etag)
		}
		if tag, rest, ok := cutTag(field); ok && (!strings.HasSuffix(strings.TrimSuffix(field, rest), tag) || len(tag) < 2) {
			t.Errorf("%q is cut into %q and %q", field, tag, rest)
		}
	})
}

// FuzzContentDigest: a hash that is read from the field is in it.
func FuzzContentDigest(f *testing.F) {
	f.Fuzz(func(t *testing.T, field string) {
		sum, err := parseContentDigest(field)
		if err != nil && protocol.KindOf(err) != protocol.KindBadRequest {
			t.Fatalf("%q: %v", field, err)
		}
		if sum == nil {
			return
		}
		exact := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
		again, err := parseContentDigest(exact)
		if err != nil || *again != *sum || !strings.Contains(field, exact) {
			t.Errorf("%q is read as %x", field, *sum)
		}
	})
}

// FuzzRequestBodies: whatever comes as the JSON of whichever route, the answer
// is one of the table and none of them says that the daemon failed.
func FuzzRequestBodies(f *testing.F) {
	o := startOspd(f)
	o.token = o.newToken("fuzz").Secret
	file, _ := aFile(o)
	upload, _ := aFullUpload(o)
	client := &http.Client{Transport: &http.Transport{}}
	f.Cleanup(client.CloseIdleConnections)
	routes := []protocol.RouteName{protocol.RouteBeginUpload, protocol.RouteCommit, protocol.RouteClaim, protocol.RoutePatchFile, protocol.RouteCreateToken, protocol.RouteProbe}
	f.Fuzz(func(t *testing.T, which uint8, contentType, body string) {
		r := protocol.RouteOf(routes[int(which)%len(routes)])
		uid := upload
		if r.Name == protocol.RoutePatchFile {
			uid = file
		}
		req, err := http.NewRequestWithContext(t.Context(), r.Method, "http://"+o.addr+r.Expand(uid, 1), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+o.token)
		req.Header["Content-Type"] = []string{contentType}
		resp, err := client.Do(req)
		if err != nil {
			if strings.ContainsAny(contentType, "\r\n\x00") || strings.Contains(err.Error(), "invalid header field value") {
				return // net/http does not send it
			}
			t.Fatalf("%s %q: %v", r.Name, body, err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || !json.Valid(text) {
			t.Fatalf("%s %q: %s %q, %v", r.Name, body, resp.Status, text, err)
		}
		if resp.StatusCode < 300 {
			if r.Name == protocol.RouteCommit {
				again := o.with(o.token)
				again.t = t
				upload, _ = aFullUpload(again)
			}
			return
		}
		var p protocol.Problem
		if err := json.Unmarshal(text, &p); err != nil || p.Code.Row().Status != resp.StatusCode || resp.StatusCode >= 500 {
			t.Errorf("%s %q: %s %s (%v)", r.Name, body, resp.Status, text, err)
		}
	})
}
