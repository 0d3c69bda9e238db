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
				{Name: "old", Node: &home, Type: "local"}, {Name: "old@bb", Node: &away, Type: "local"}, {Name: "lost@aa", Node: &home, Type: "local"}, {Name: "lost@bb", Node: &away, Type: "local"},
			}})
			return
		}
		ends := map[string]protocol.Job{"/v1/jobs/7": {ID: 7, Kind: protocol.JobMigrate, State: protocol.JobDone}, "/v1/jobs/8": {ID: 8, Kind: protocol.JobMigrate, State: protocol.JobDead}}
		if j, ended := ends[r.URL.Path]; ended {
			_ = json.NewEncoder(w).Encode(j)
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
		if c.Args.From == "disk@bb" || strings.HasPrefix(c.Args.From, "lost") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(protocol.Problem{Code: protocol.KindOwnerDown, Status: http.StatusServiceUnavailable, Detail: "it is down"})
			return
		}
		id := protocol.JobID(7)
		if c.Args.From == "old@bb" {
			id = 8
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(protocol.Job{ID: id, Kind: protocol.JobMigrate, State: protocol.JobReady})
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestMigrationsOfEachNode: a local store of a cluster is a disk of each node, and
// each is moved by a job of its own. What became of them is one exit code.
func TestMigrationsOfEachNode(t *testing.T) {
	for args, want := range map[string]struct {
		asked, out string
		exit       int
	}{
		"--from disk --to minio":    {"disk>minio disk@bb>minio", "7\tmigrate\tready\n", 3},
		"--from disk@aa --to minio": {"disk>minio", "7\tmigrate\tready\n", 0},
		"--from disk@bb --to minio": {"disk@bb>minio", "", 5},
		"--from minio --to tape":    {"minio>tape", "7\tmigrate\tready\n", 0},
		"--from tape --to minio":    {"tape>minio", "7\tmigrate\tready\n", 0},
		"--from lost --to minio":    {"lost@aa>minio lost@bb>minio", "", 5},
		"--from old --to minio":     {"old>minio old@bb>minio", "7\tmigrate\tready\n8\tmigrate\tready\n", 0},

		"--from old --to minio --follow":    {"old>minio old@bb>minio", "7\tmigrate\tdone\n8\tmigrate\tdead\n", 3},
		"--from old@bb --to minio --follow": {"old@bb>minio", "8\tmigrate\tdead\n", 1},
		"--from disk --to minio --follow":   {"disk>minio disk@bb>minio", "7\tmigrate\tdone\n", 3},
	} {
		var asked []string
		t.Setenv("OSP_HOME", t.TempDir())
		var out, errs bytes.Buffer
		s := newSession(strings.NewReader(""), &out, &errs, environment{"OSP_SERVER": nodesWithDisks(t, &asked), "NO_PROXY": "*", "OSP_RETRIES": "0"})
		code := s.run(t.Context(), append([]string{"admin", "migrate"}, strings.Fields(args)...))
		if got := strings.Join(asked, " "); code != want.exit || got != want.asked || !strings.HasPrefix(out.String(), want.out) {
			t.Errorf("%s asks for %q, exit %d:\n%s%s", args, got, code, out.String(), errs.String())
		}
		dead := strings.Contains(want.out, "dead")
		if strings.Contains(errs.String(), "it is down") != (want.exit != 0 && !dead) || strings.Contains(errs.String(), "job 8 is dead") != dead ||
			want.exit == 3 && !dead && !strings.Contains(errs.String(), "store disk@bb") {
			t.Errorf("%s says %s", args, errs.String())
		}
	}
}
