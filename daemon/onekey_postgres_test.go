//go:build postgres

package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// duo are two nodes of a cluster, each with a disk of its own.
type duo [2]*Daemon

func startDuo(t *testing.T) (d duo) {
	t.Helper()
	first := joining(t, config(t))
	d[0], _ = running(t, first)
	d[1], _ = running(t, nodeOn(t, first))
	return d
}

// atOnce sends requests to both nodes at the same time, the i-th to node i%2, and
// gives what was answered to each.
func (d duo) atOnce(t *testing.T, send []string, method, path string, header ...string) (said []string) {
	t.Helper()
	said = make([]string, len(send))
	var all sync.WaitGroup
	for i, body := range send {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, method, d[i%2].URL()+path, strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			req.Close = true
			for k := 0; k+1 < len(header); k += 2 {
				req.Header.Set(header[k], header[k+1])
			}
			r, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			said[i] = fmt.Sprintf("%d %s", r.StatusCode, b)
		})
	}
	all.Wait()
	return said
}

// TestPostgresOneKeyAtTwoNodes: a request that comes to two nodes at once under one
// key happens once, and both give one answer.
func TestPostgresOneKeyAtTwoNodes(t *testing.T) {
	d := startDuo(t)
	read := fmt.Sprintf(`{"kind": "scrub", "args": {"file": "%s"}}`, uploadTo(t, d[0], []byte("read")).UID)
	for _, c := range []struct{ path, body, begins string }{
		{"/v1/files?name=one", "the bytes", "201"},
		{"/v1/uploads", `{"name": "begun", "size": 10}`, "201"},
		{"/v1/links", `{"links": [{"action": "put", "name": "sent"}, {"action": "put", "name": "sent too"}]}`, "200"},
		{"/v1/jobs", read, "20"},
	} {
		for round := range 8 {
			said := d.atOnce(t, []string{c.body, c.body, c.body, c.body}, http.MethodPost, c.path,
				"Content-Type", "application/json", protocol.HeaderIdempotencyKey, fmt.Sprint(c.path, round))
			for i, s := range said {
				if s != said[0] || !strings.HasPrefix(s, c.begins) {
					t.Errorf("POST %s: node 0 answers %.400s, and node %d %.400s", c.path, said[0], i%2, s)
				}
			}
		}
	}
	files, err := d[0].in.DB.Files(t.Context(), protocol.OwnerLocal, meta.FileQuery{Limit: 100})
	if err != nil || len(files) != 1+8 {
		t.Errorf("1 and 8 files were put, and there are %d, %v", len(files), err)
	}
}

// TestPostgresPatchesAtTwoNodes: what two nodes change of one file at once is both
// changed.
func TestPostgresPatchesAtTwoNodes(t *testing.T) {
	d := startDuo(t)
	f := uploadTo(t, d[0], []byte("a"))
	path := "/v1/files/" + f.UID.String()
	for round := range 30 {
		value := fmt.Sprint(round)
		for i, s := range d.atOnce(t, []string{`{"meta": {"a": "` + value + `"}}`, `{"meta": {"b": "` + value + `"}}`, `{"name": "` + value + `"}`}, http.MethodPatch, path, "Content-Type", "application/merge-patch+json") {
			if !strings.HasPrefix(s, "200") {
				t.Fatalf("patch %d: %s", i, s)
			}
		}
		_, b := asked(t, http.MethodGet, d[round%2].URL()+path, nil)
		var now protocol.File
		if decoded(t, bytes.TrimSpace(b), &now); now.Name != value || now.Meta["a"] != value || now.Meta["b"] != value {
			t.Fatalf("after round %d it is %s", round, b)
		}
	}
}
