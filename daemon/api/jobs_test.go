package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

func (o *ospd) createJob(body string, status int, header ...string) protocol.Job {
	o.t.Helper()
	return into[protocol.Job](o.t, o.do(http.MethodPost, "/v1/jobs", body, header...), status)
}

func TestJobs(t *testing.T) {
	o := startOspd(t)
	made := o.createJob(`{"kind": "nap", "args": {"about": "x"}, "priority": "high"}`, http.StatusCreated)
	if made.State != protocol.JobReady || made.Priority != protocol.PriorityHigh || string(made.Args) != `{"about":"x"}` && string(made.Args) != `{"about": "x"}` ||
		*made.Owner != protocol.OwnerLocal || *made.Subject != "x" || *made.Node != "n1" || made.MaxAttempts != 10 || made.Progress != nil || made.Error != nil {
		t.Errorf("made %+v", made)
	}
	a := o.do(http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": {"about": "x"}}`)
	if again := into[protocol.Job](t, a, http.StatusOK); again.ID != made.ID || a.Header.Get("Location") != "/v1/jobs/"+made.ID.String() {
		t.Errorf("asked for again it is %+v at %s", again, a.Header.Get("Location"))
	}
	path := "/v1/jobs/" + made.ID.String()
	if got := into[protocol.Job](t, o.do(http.MethodGet, path, ""), http.StatusOK); got.ID != made.ID {
		t.Errorf("got %+v", got)
	}
	o.do(http.MethodPost, path+"/cancel", `{}`).problem(t, protocol.KindBadRequest)
	if got := into[protocol.Job](t, o.do(http.MethodPost, path+"/cancel", ""), http.StatusOK); got.State != protocol.JobCancelled || got.FinishedAt == nil {
		t.Errorf("cancelled it is %+v", got)
	}
	if got := into[protocol.Job](t, o.do(http.MethodPost, path+"/retry", ""), http.StatusOK); got.State != protocol.JobReady || got.FinishedAt != nil {
		t.Errorf("retried it is %+v", got)
	}
	for _, bad := range []struct {
		method, path, body string
		kind               protocol.Kind
	}{
		{http.MethodPost, "/v1/jobs", `{"kind": "sleep"}`, protocol.KindBadRequest},
		{http.MethodPost, "/v1/jobs", `{}`, protocol.KindBadRequest},
		{http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": {"x": 1}}`, protocol.KindBadRequest},
		{http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": [1]}`, protocol.KindBadRequest},
		{http.MethodPost, "/v1/jobs", `{"kind": "nap", "priority": "urgent"}`, protocol.KindBadRequest},
		{http.MethodPost, "/v1/jobs", `{"kind": "nap", "run_at": "x"}`, protocol.KindUnknownField},
		{http.MethodGet, "/v1/jobs/x", "", protocol.KindBadRequest},
		{http.MethodGet, "/v1/jobs/99", "", protocol.KindNotFound},
		{http.MethodPost, "/v1/jobs/99/retry", "", protocol.KindNotFound},
		{http.MethodPost, "/v1/jobs/99/cancel", "", protocol.KindNotFound},
		{http.MethodGet, "/v1/jobs?state=failed", "", protocol.KindBadRequest},
		{http.MethodGet, "/v1/jobs?limit=1001", "", protocol.KindBadRequest},
		{http.MethodGet, "/v1/jobs?cursor=x", "", protocol.KindBadRequest},
		{http.MethodGet, "/v1/jobs?owner=local", "", protocol.KindUnknownField},
	} {
		o.do(bad.method, bad.path, bad.body).problem(t, bad.kind)
	}
}

func TestJobPages(t *testing.T) {
	o := startOspd(t)
	var want []string
	for range 5 {
		want = append([]string{o.createJob(`{"kind": "nap"}`, http.StatusCreated).ID.String()}, want...)
	}
	var got []string
	for path := "/v1/jobs?limit=2"; path != ""; {
		list := into[protocol.JobList](t, o.do(http.MethodGet, path, ""), http.StatusOK)
		for _, j := range list.Jobs {
			got = append(got, j.ID.String())
		}
		path = ""
		if list.Next != nil {
			path = "/v1/jobs?limit=2&cursor=" + *list.Next
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("listed %v, want %v", got, want)
	}
	for query, n := range map[string]int{"state=ready": 5, "state=done": 0, "kind=nap": 5, "kind=other": 0, "kind=nap&state=ready&limit=1": 1} {
		if list := into[protocol.JobList](t, o.do(http.MethodGet, "/v1/jobs?"+query, ""), http.StatusOK); len(list.Jobs) != n {
			t.Errorf("%s lists %d jobs, want %d", query, len(list.Jobs), n)
		}
	}
}

// TestJobsAreTheirOwners: an owner sees and changes its own jobs; who runs the
// installation all of them, and where they run.
func TestJobsAreTheirOwners(t *testing.T) {
	o := startOspd(t)
	admin := o.as("root", protocol.ScopeAdmin)
	alice, bob := o.as("alice", protocol.ScopeFileRead, protocol.ScopeFileWrite), o.as("bob", protocol.ScopeFileRead, protocol.ScopeFileWrite)
	made := alice.createJob(`{"kind": "nap"}`, http.StatusCreated, "Idempotency-Key", "k")
	bobs := bob.createJob(`{"kind": "nap"}`, http.StatusCreated, "Idempotency-Key", "k")
	if made.Node != nil || made.ID == bobs.ID {
		t.Errorf("alice made %+v, bob %+v", made, bobs)
	}
	for _, who := range []struct {
		name string
		o    *ospd
		sees int
	}{{"alice", alice, 1}, {"bob", bob, 1}, {"admin", admin, 2}} {
		if list := into[protocol.JobList](t, who.o.do(http.MethodGet, "/v1/jobs", ""), http.StatusOK); len(list.Jobs) != who.sees {
			t.Errorf("%s sees %+v", who.name, list.Jobs)
		}
	}
	path := "/v1/jobs/" + made.ID.String()
	for _, r := range [][2]string{{http.MethodGet, path}, {http.MethodPost, path + "/retry"}, {http.MethodPost, path + "/cancel"}} {
		bob.do(r[0], r[1], "").problem(t, protocol.KindNotFound)
	}
	if got := into[protocol.Job](t, admin.do(http.MethodPost, path+"/cancel", ""), http.StatusOK); got.State != protocol.JobCancelled || *got.Node != "n1" {
		t.Errorf("cancelled by the administrator it is %+v", got)
	}
}

// TestJobOnce: under one key one job is made, and one answer given.
func TestJobOnce(t *testing.T) {
	o := startOspd(t)
	first := o.do(http.MethodPost, "/v1/jobs", `{"kind": "nap"}`, "Idempotency-Key", "k")
	made := into[protocol.Job](t, first, http.StatusCreated)
	into[protocol.Job](t, o.do(http.MethodPost, "/v1/jobs/"+made.ID.String()+"/cancel", ""), http.StatusOK)
	again := o.do(http.MethodPost, "/v1/jobs", `{"kind": "nap"}`, "Idempotency-Key", "k")
	if again.StatusCode != http.StatusCreated || string(again.body) != string(first.body) || again.Header.Get("Location") != first.Header.Get("Location") {
		t.Errorf("the second answer is %s %s, the first was %s", again.Status, again.body, first.body)
	}
	o.do(http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": {"about": "x"}}`, "Idempotency-Key", "k").problem(t, protocol.KindIdempotencyMismatch)
	// The keys of an owner are one space.
	o.do(http.MethodPost, "/v1/uploads", `{"name": "a"}`, "Idempotency-Key", "k").problem(t, protocol.KindIdempotencyMismatch)
	if list := into[protocol.JobList](t, o.do(http.MethodGet, "/v1/jobs", ""), http.StatusOK); len(list.Jobs) != 1 {
		t.Errorf("there are %d jobs", len(list.Jobs))
	}
}
