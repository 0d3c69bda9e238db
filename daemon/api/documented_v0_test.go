package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// v0Visit is a request of v0 that is answered as asked.
type v0Visit struct {
	target            string
	body, contentType string
}

// v0Visits says of each route of v0 how to use it, by its path.
func v0Visits() map[string]func(o *ospd) v0Visit {
	json := func(body string) func(*ospd) v0Visit { return func(*ospd) v0Visit { return v0Visit{body: body} } }
	query := func(q string) func(*ospd) v0Visit { return func(*ospd) v0Visit { return v0Visit{target: q} } }
	return map[string]func(o *ospd) v0Visit{
		"/ping":          query(""),
		"/health":        query(""),
		"/resume":        json(`{"data": [{"md5": "900150983cd24fb0d6963f7d28e17f72", "path": "a.txt"}]}`),
		"/link/upload":   json(`{"filePath": ["a.txt"], "expire": 60}`),
		"/link/download": json(`{"uid": ["1"], "expire": 60}`),
		"/checkpoint": func(o *ospd) v0Visit {
			return v0Visit{target: "?uid=" + o.v0Links("a.txt")[0].UID}
		},
		"/proxy": func(o *ospd) v0Visit {
			uid, _ := aFile(o)
			return v0Visit{target: "?uid=" + uid.String()}
		},
		"/download": func(o *ospd) v0Visit {
			uid, _ := aFile(o)
			return v0Visit{target: behindPath(o.v0Downloads(60, uid.String())[0].URL)}
		},
		"/upload": func(o *ospd) v0Visit {
			body, contentType := form(o.t, []byte("abc"))
			return v0Visit{behindPath(o.v0Links("a.txt")[0].URL.Single) + "&md5=" + md5Of([]byte("abc")), body, contentType}
		},
		"/upload/multi": func(o *ospd) v0Visit { return aChunk(o, o.v0Links("a.txt")[0]) },
		"/upload/merge": func(o *ospd) v0Visit {
			l := o.v0Links("a.txt")[0]
			chunk := aChunk(o, l)
			if a := o.do(http.MethodPut, v0Prefix+"/upload/multi"+chunk.target, chunk.body, "Content-Type", chunk.contentType); a.StatusCode != http.StatusOK {
				o.t.Fatalf("put a chunk: %s %s", a.Status, a.body)
			}
			return v0Visit{target: behindPath(l.URL.Multi.Merge) + "&num=1&size=3&md5=" + md5Of([]byte("abc"))}
		},
	}
}

func aChunk(o *ospd, l v0UploadLinks) v0Visit {
	body, contentType := form(o.t, []byte("abc"))
	return v0Visit{behindPath(l.URL.Multi.Upload) + "&chunkNum=1&md5=" + md5Of([]byte("abc")), body, contentType}
}

// behindPath is the query of an address, with its question mark.
func behindPath(address string) string {
	_, query, _ := strings.Cut(address, "?")
	return "?" + query
}

// ofV0 walks the routes of v0: each as asked, and refused with each of its few
// statuses.
func ofV0(t *testing.T, s *seen) {
	o, open, slow := startOspd(t), start(t, Config{}, nil), slowFixture(t)
	alice := o.as("alice")
	for _, row := range v0Rows() {
		prepare, ok := v0Visits()[row.path]
		if !ok {
			t.Errorf("nothing says how to use %s", row.path)
			continue
		}
		visit := func(f *fixture, status int, header ...string) {
			v := prepare(alice)
			target := v0Prefix + row.path + v.target
			s.note(row.method, target, f.do(row.method, target, v.body, append(header, "Content-Type", v.contentType)...), status)
		}
		visit(alice.fixture, http.StatusOK)
		send := func(f *fixture, header string, status int) {
			target := v0Prefix + row.path
			s.note(row.method, target, f.dial().send(row.method+" "+target+" HTTP/1.1\r\n"+header).read(row.method), status)
		}
		send(open, "Host: evil.example\r\n\r\n", http.StatusUnauthorized)
		send(open, "Host: HOST\r\nRange: a\r\nRange: b\r\n\r\n", http.StatusUnprocessableEntity)
		send(open, "Host: HOST\r\nX: "+strings.Repeat("x", headerBuffer)+"\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge)
		send(open, "Host: HOST\r\nContent-Length: x\r\n\r\n", http.StatusBadRequest)
		send(slow, "Host: HOST\r\n", http.StatusRequestTimeout)
		if row.path == "/download" {
			visit(alice.fixture, http.StatusPartialContent, "Range", "bytes=1-1")
			visit(alice.fixture, http.StatusNotModified, "If-None-Match", "*")
		}
	}
	none := alice.v0Links("a.txt")[0].URL.Multi.Merge + "&num=1&size=3&md5=" + md5Of([]byte("abc"))
	s.note(http.MethodPut, none, alice.do(http.MethodPut, none, ""), http.StatusNotFound)
	uid, _ := aFile(alice)
	gone := alice.v0Downloads(60, uid.String())[0].URL
	if a := alice.do(http.MethodDelete, "/v1/files/"+uid.String(), ""); a.StatusCode != http.StatusNoContent {
		t.Fatalf("delete: %s", a.Status)
	}
	for _, target := range []string{gone, fmt.Sprintf("%s/proxy?uid=%s", v0Prefix, protocol.UID(7))} {
		s.note(http.MethodGet, target, alice.do(http.MethodGet, target, ""), http.StatusNotFound)
	}
}

// TestV0SecurityIsDocumented: a token with all the scopes that a route asks for,
// or no token from an address that is let in; a signed link; or nothing at all.
func TestV0SecurityIsDocumented(t *testing.T) {
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(Document("test"), &document); err != nil {
		t.Fatal(err)
	}
	const signed = `[{"signature":[]}]`
	for at, want := range map[string]string{
		"get /ping": `[]`, "get /health": `[]`,
		"post /resume":        `[{},{"token":["file:write"]}]`,
		"get /checkpoint":     `[{},{"token":["file:write"]}]`,
		"get /proxy":          `[{},{"token":["file:read"]}]`,
		"post /link/upload":   `[{},{"token":["link:create","file:write"]}]`,
		"post /link/download": `[{},{"token":["link:create","file:read"]}]`,
		"put /upload":         signed, "put /upload/multi": signed, "put /upload/merge": signed, "get /download": signed,
	} {
		method, path, _ := strings.Cut(at, " ")
		var o struct {
			Security json.RawMessage `json:"security"`
		}
		if err := json.Unmarshal(document.Paths[v0Prefix+path][method], &o); err != nil || string(o.Security) != want {
			t.Errorf("%s: %s, %v; want %s", at, o.Security, err, want)
		}
	}
}
