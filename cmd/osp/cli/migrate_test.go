package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// nodesWithDisks is a cluster of two nodes, of which the one that is not the home of
// store disk is down, and from where migrations were asked for.
func nodesWithDisks(t *testing.T, asked *[]string) string {
	home, away := "aa", "bb"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/stores" {
			_ = json.NewEncoder(w).Encode(protocol.StoreList{Stores: []protocol.Store{
				{Name: "disk", Node: &home, Type: "local"}, {Name: "disk@bb", Node: &away, Type: "local"}, {Name: "diskette", Type: "local"}, {Name: "minio", Type: "s3"},
			}})
			return
		}
		var c struct {
			Args struct{ From, To string } `json:"args"`
		}
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil || r.URL.Path != "/v1/jobs" {
			http.Error(w, "not what this is for", http.StatusNotFound)
			return
		}
		*asked = append(*asked, c.Args.From+">"+c.Args.To)
		if c.Args.From == "disk@bb" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(protocol.Problem{Code: protocol.KindOwnerDown, Status: http.StatusServiceUnavailable, Detail: "it is down"})
			return
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(protocol.Job{ID: 7, Kind: protocol.JobMigrate, State: protocol.JobReady})
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestMigrationsOfEachNode: a local store of a cluster is a disk of each node, and
// each is moved by a job of its own.
func TestMigrationsOfEachNode(t *testing.T) {
	for args, want := range map[string]struct {
		asked, out string
		exit       int
	}{
		"--from disk --to minio":    {"disk>minio disk@bb>minio", "7\tmigrate\tready\n", 5},
		"--from disk@aa --to minio": {"disk>minio", "7\tmigrate\tready\n", 0},
		"--from disk@bb --to minio": {"disk@bb>minio", "", 5},
		"--from minio --to tape":    {"minio>tape", "7\tmigrate\tready\n", 0},
		"--from tape --to minio":    {"tape>minio", "7\tmigrate\tready\n", 0},
	} {
		var asked []string
		t.Setenv("OSP_HOME", t.TempDir())
		var out, errs bytes.Buffer
		s := newSession(strings.NewReader(""), &out, &errs, environment{"OSP_SERVER": nodesWithDisks(t, &asked), "NO_PROXY": "*", "OSP_RETRIES": "0"})
		code := s.run(t.Context(), append([]string{"admin", "migrate"}, strings.Fields(args)...))
		if got := strings.Join(asked, " "); code != want.exit || got != want.asked || !strings.HasPrefix(out.String(), want.out) {
			t.Errorf("%s asks for %q, exit %d:\n%s%s", args, got, code, out.String(), errs.String())
		}
		if want.exit != 0 && !strings.Contains(errs.String(), "it is down") || want.exit != 0 && want.out != "" && !strings.Contains(errs.String(), "store disk@bb") {
			t.Errorf("%s says %s", args, errs.String())
		}
	}
}
