package api

import (
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestManifest: while an import has not ended there is a next page, also of
// nothing; a job of another kind has none, and cursors are ours.
func TestManifest(t *testing.T) {
	o := startOspd(t)
	_, id := anImport(o)
	m := into[protocol.Manifest](t, o.do(http.MethodGet, "/v1/jobs/"+id+"/manifest?limit=5", ""), http.StatusOK)
	if len(m.Entries) != 0 || m.Next == nil {
		t.Fatalf("of an import that waits: %+v", m)
	}
	m = into[protocol.Manifest](t, o.do(http.MethodGet, "/v1/jobs/"+id+"/manifest?cursor="+*m.Next, ""), http.StatusOK)
	if m.Next == nil {
		t.Error("it ended by being asked for twice")
	}
	into[protocol.Job](t, o.do(http.MethodPost, "/v1/jobs/"+id+"/cancel", ""), http.StatusOK)
	m = into[protocol.Manifest](t, o.do(http.MethodGet, "/v1/jobs/"+id+"/manifest", ""), http.StatusOK)
	if m.Next != nil {
		t.Errorf("of one that ended: %+v", m)
	}
	_, nap := aJob(o)
	for path, want := range map[string]int{
		nap + "/manifest":               http.StatusNotFound,
		"999/manifest":                  http.StatusNotFound,
		"x/manifest":                    http.StatusBadRequest,
		id + "/manifest?cursor=x":       http.StatusBadRequest,
		id + "/manifest?limit=1001":     http.StatusBadRequest,
		id + "/manifest?something=else": http.StatusBadRequest,
	} {
		if r := o.do(http.MethodGet, "/v1/jobs/"+path, ""); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
}
