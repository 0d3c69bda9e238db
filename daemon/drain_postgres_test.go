//go:build postgres

package daemon

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// nodesSeen are the nodes as a daemon lists them, by id.
func nodesSeen(t *testing.T, url string) map[string]protocol.Node {
	t.Helper()
	var list protocol.NodeList
	_, b := asked(t, http.MethodGet, url+"/v1/nodes", nil)
	decoded(t, b, &list)
	all := map[string]protocol.Node{}
	for _, n := range list.Nodes {
		all[n.ID] = n
	}
	return all
}

// drains asks a node to drain another, or to take that back.
func drains(t *testing.T, url, id string, on bool, want int) (n protocol.Node) {
	t.Helper()
	status, b := asked(t, http.MethodPatch, url+"/v1/nodes/"+id, fmt.Appendf(nil, `{"draining": %v}`, on), "Content-Type", "application/json")
	if status != want {
		t.Fatalf("draining %v: %d %s, want %d", on, status, b, want)
	}
	if status == http.StatusOK {
		decoded(t, b, &n)
	}
	return n
}

// untilPutOn puts files at a node until one lies in the store: what was said of a
// drain is known within a second or two.
func untilPutOn(t *testing.T, d *Daemon, store string) {
	t.Helper()
	for i := 0; ; i++ {
		status, b := asked(t, http.MethodPost, fmt.Sprintf("%s/v1/files?name=%s-%d", d.URL(), strings.ReplaceAll(store, "@", "-"), i), fmt.Appendf(nil, "%s %p %d", store, d, i))
		if status != http.StatusCreated {
			t.Fatalf("a put: %d %s", status, b)
		}
		var f protocol.File
		decoded(t, b, &f)
		got := storeOf(t, d, f.UID)
		if got == store {
			return
		}
		if i == 200 {
			t.Fatalf("what is put still goes to %s", got)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestPostgresDrainedNode: what is new goes to another node, at whichever it comes
// in; what has begun on the one that is drained goes on there, and is read; also
// after it was started again, until it is undrained. It shows what still needs it,
// and the last node is not drained.
func TestPostgresDrainedNode(t *testing.T) {
	first := joining(t, config(t))
	second := nodeOn(t, first)
	a, _ := running(t, first)
	b, stop := running(t, second)
	id, other := string(b.in.Node), string(a.in.Node)
	onA, onB := "disk", "disk@"+id
	untilPutOn(t, b, onB)
	var u protocol.Upload
	_, body := asked(t, http.MethodPost, b.URL()+"/v1/uploads", []byte(`{"name": "begun", "size": 5}`), "Content-Type", "application/json")
	decoded(t, body, &u)
	if n := drains(t, a.URL(), id, true, http.StatusOK); !n.Draining || n.OpenUploads != 1 || n.HeldBytes == nil || *n.HeldBytes == 0 || n.Stopping || !n.Living {
		t.Errorf("the node is drained: %+v", n)
	}
	untilPutOn(t, b, onA)
	drains(t, b.URL(), other, true, http.StatusConflict)
	drains(t, b.URL(), "0123456789abcdef0123456789abcdef", true, http.StatusNotFound)
	var next protocol.Upload
	_, body = asked(t, http.MethodPost, b.URL()+"/v1/uploads", []byte(`{"name": "new", "size": 5}`), "Content-Type", "application/json")
	if decoded(t, body, &next); nodesSeen(t, a.URL())[other].OpenUploads != 1 {
		t.Errorf("an upload that begins at the drained node is not open at the other: %+v", nodesSeen(t, a.URL()))
	}
	for _, uid := range []protocol.UID{u.UID, next.UID} {
		path := b.URL() + "/v1/uploads/" + uid.String()
		if status, body := asked(t, http.MethodPut, path+"/parts/1", []byte("12345")); status != http.StatusOK {
			t.Fatalf("part: %d %s", status, body)
		}
		status, body := asked(t, http.MethodPost, path+"/commit", nil)
		if status != http.StatusOK {
			t.Fatalf("commit: %d %s", status, body)
		}
		if status, body := asked(t, http.MethodGet, a.URL()+"/v1/files/"+uid.String()+"/content", nil); status != http.StatusOK || string(body) != "12345" {
			t.Errorf("it reads %d %s", status, body)
		}
	}
	if n := nodesSeen(t, b.URL())[id]; n.OpenUploads != 0 || !n.Draining {
		t.Errorf("once the upload has ended: %+v", n)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := nodesSeen(t, a.URL())[id]; n.Living || n.Stopping || !n.Draining {
		t.Errorf("the drained node is stopped: %+v", n)
	}
	b, _ = running(t, second)
	untilPutOn(t, b, onA)
	if n := nodesSeen(t, a.URL())[id]; !n.Living || !n.Draining {
		t.Errorf("started again: %+v", n)
	}
	if n := drains(t, b.URL(), id, false, http.StatusOK); n.Draining {
		t.Errorf("undrained: %+v", n)
	}
	untilPutOn(t, b, onB)
}
