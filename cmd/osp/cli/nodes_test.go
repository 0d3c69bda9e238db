package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// TestNodes: what a node is and what needs it are told in words, and a drain says
// them of the node that it is about.
func TestNodes(t *testing.T) {
	at, address, none, some := protocol.TimeOf(time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)), "10.0.0.1:8890", int64(0), int64(5<<20)
	nodes := []protocol.Node{
		{ID: "aa", Address: &address, Version: "v1", Since: at, LeaseUntil: at, Living: true, Draining: true, HeldBytes: &some, OpenUploads: 2},
		{ID: "bb", Address: &address, Version: "v1", Since: at, LeaseUntil: at, Living: true, Stopping: true, HeldBytes: &none},
		{ID: "cc", Address: &address, Version: "v1", Since: at, LeaseUntil: at, Draining: true, HeldBytes: &none},
		{ID: "dd", Address: &address, Version: "v1", Since: at, LeaseUntil: at, Living: true, Draining: true},
		{ID: "ee", Address: &address, Version: "v1", Since: at, LeaseUntil: at, Living: true, Reachable: new(true)},
		{ID: "ff", Address: &address, Version: "v1", Since: at, LeaseUntil: at, Living: true, Reachable: new(false), Draining: true},
		{ID: "gg", Address: &address, Version: "v1", Since: at, LeaseUntil: at, Reachable: new(false)},
	}
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(b))
		var v any = protocol.NodeList{Nodes: nodes}
		for _, n := range nodes {
			if r.URL.Path == "/v1/nodes/"+n.ID {
				n.Draining = strings.Contains(string(b), "true")
				v = n
			}
		}
		_ = json.NewEncoder(w).Encode(v)
	}))
	defer s.Close()
	run := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := osp(t.Context(), t, environment{"OSP_SERVER": s.URL}, append([]string{"admin", "nodes"}, args...)...)
		if code != 0 || stderr != "" {
			t.Errorf("%v: exit %d, %q", args, code, stderr)
		}
		return stdout
	}
	table := strings.Split(run(), "\n")
	for i, want := range [][]string{{"HOLDS ALONE", "OPEN UPLOADS"}, {"  draining  ", "5.0 MiB", "  2"}, {"  stopping  "}, {"  gone, draining  "}, {"  draining  ", "  -  "}, {"  living  "}, {"  unreachable, draining  "}, {"  gone  "}} {
		for _, word := range want {
			if !strings.Contains(table[i], word) {
				t.Errorf("line %d has no %q: %s", i, word, table[i])
			}
		}
	}
	for _, c := range []struct{ verb, node, says, asks string }{
		{"drain", "aa", "node aa takes nothing new; it alone holds 5.0 MiB, and 2 uploads are open there: what lies there cannot be had while it is stopped\n", `{"draining":true}`},
		{"drain", "bb", "node bb takes nothing new; it alone holds nothing, and no upload is open there: it can be stopped\n", `{"draining":true}`},
		{"drain", "dd", "node dd takes nothing new; 0 uploads are open there, and how much it alone holds could not be counted in time\n", `{"draining":true}`},
		{"undrain", "aa", "node aa takes what is new\n", `{"draining":false}`},
	} {
		if got := run(c.verb, c.node); got != c.says {
			t.Errorf("%s: %q, want %q", c.verb, got, c.says)
		}
		if got := asked[len(asked)-1]; got != "PATCH /v1/nodes/"+c.node+" "+c.asks {
			t.Errorf("%s asks %q", c.verb, got)
		}
	}
	if got := run("drain", "aa", "-q"); got != "aa\n" {
		t.Errorf("with -q: %q", got)
	}
}
