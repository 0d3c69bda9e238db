//go:build postgres

package process

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// ospd runs a verb of ospd to its end.
func ospd(t *testing.T, data, address string, args ...string) (exit int, output string) {
	t.Helper()
	p := harness.Start(t, []string{"OSPD_DB=" + address}, "", bin.OSPD, append(args, "--data", data)...)
	exit = p.Wait()
	return exit, p.Stdout() + p.Stderr()
}

// withStore is a configuration file for another data folder than d's, whose new
// files go to a store of its own. d's is there too, as files lie in it.
func withStore(t *testing.T, address, store string, d *harness.Daemon) string {
	t.Helper()
	const text = "db: %q\ndefault_store: %s\nstores: {%s: {type: local, path: %q}, disk: {type: local, path: %q}}\n"
	return harness.WriteFile(t, "ospd.yaml", fmt.Appendf(nil, text, address, store, store, t.TempDir(), filepath.Join(d.Data, "blobs")))
}

// TestPostgresAllVerbs: with its metadata on Postgres everything works as it
// does on SQLite: put, get, an interrupted put that is resumed, rm, tokens, and
// the checks of a stopped installation.
func TestPostgresAllVerbs(t *testing.T) {
	_, address := postgres(t, false)
	data := filepath.Join(t.TempDir(), "data")
	for _, verb := range []string{"fsck", "gc"} {
		if exit, out := ospd(t, data, address, verb); exit != 3 || !strings.Contains(out, "no ospd has used it yet") {
			t.Errorf("%s before the first start: %d: %s", verb, exit, out)
		}
	}
	d := harness.StartDaemon(t, bin, data, "--db", address)
	osp := harness.NewOSP(t, bin, d.URL)
	large, small := filepath.Join(t.TempDir(), "large"), harness.WriteFile(t, "small", harness.Content(2, 1000))
	harness.WriteContent(t, large, 1, killSize)
	killAt(t, osp, d.URL, harness.Up, killSize/2, "put", large)
	osp.Server = d.URL
	r := resumed(t, osp, 0, "put", large)
	if r.SentBytes+r.ResumedBytes != killSize {
		t.Errorf("sent %d and found %d held, which is not the file", r.SentBytes, r.ResumedBytes)
	}
	again := osp.Put(large)
	if again.Outcome != "instant" {
		t.Errorf("the same content again is %s", again.Outcome)
	}
	s := osp.Put(small)
	for _, g := range []struct {
		uid  protocol.UID
		from string
	}{{r.UID, large}, {again.UID, large}, {s.UID, small}} {
		to := filepath.Join(t.TempDir(), "got")
		osp.Get(g.uid, to)
		if harness.SumFile(t, to) != harness.SumFile(t, g.from) {
			t.Errorf("%s came back as something else", g.from)
		}
	}
	if exit, p := osp.Run("rm", r.UID.String(), again.UID.String(), "-y"); exit != 0 {
		t.Errorf("rm: %d: %s", exit, p.Stderr())
	}
	if exit, out := ospd(t, data, address, "fsck"); exit != 8 {
		t.Errorf("fsck under the daemon: %d: %s", exit, out)
	}
	stop(t, d)
	if exit, out := ospd(t, data, address, "fsck", "--read-data"); exit != 0 {
		t.Errorf("fsck: %d: %s", exit, out)
	}
	if exit, out := ospd(t, data, address, "gc", "--grace", "0"); exit != 0 || strings.Contains(out, "Deleted 0 objects") {
		t.Errorf("gc: %d: %s", exit, out)
	}
	d.Start()
	d.API().MustHold(s.UID, harness.Content(2, 1000))
	stop(t, d)
	if exit, out := ospd(t, data, address, "fsck", "--read-data"); exit != 0 {
		t.Errorf("fsck in the end: %d: %s", exit, out)
	}
}

// TestPostgresTokens: tokens are made beside a daemon, from any folder.
func TestPostgresTokens(t *testing.T) {
	_, address := postgres(t, false)
	d := harness.StartDaemon(t, bin, filepath.Join(t.TempDir(), "data"), "--db", address)
	elsewhere := filepath.Join(t.TempDir(), "unused")
	exit, out := ospd(t, elsewhere, address, "token", "create", "--owner", "ann", "--scopes", "file:read,file:write")
	if exit != 0 {
		t.Fatalf("token create: %d: %s", exit, out)
	}
	secret, _, _ := strings.Cut(out, "\n")
	harness.Eventually(t, "the daemon asks for the token", func() bool {
		return d.API().Do("GET", "/v1/files", nil, 0).Status == http.StatusUnauthorized
	})
	if ans := d.API().Do("GET", "/v1/files", nil, 0, "Authorization", "Bearer "+secret); ans.Status != http.StatusOK {
		t.Errorf("with the token: %d %s", ans.Status, ans.Body)
	}
	if exit, out := ospd(t, elsewhere, address, "token", "list"); exit != 0 || !strings.Contains(out, "ann") {
		t.Errorf("token list: %d: %s", exit, out)
	}
	if _, err := os.Stat(elsewhere); !os.IsNotExist(err) {
		t.Errorf("the tokens made a data folder: %v", err)
	}
	stop(t, d)
}

// TestPostgresOneDaemon: of two data folders on one database one daemon runs,
// and after it was killed it has its database back at once.
func TestPostgresOneDaemon(t *testing.T) {
	_, address := postgres(t, false)
	d := harness.StartDaemon(t, bin, filepath.Join(t.TempDir(), "data"), "--db", address)
	other := filepath.Join(t.TempDir(), "other")
	refused := func() {
		t.Helper()
		exit, said := harness.Refused(t, bin, other, "--config", withStore(t, address, "other", d))
		if exit != 3 || !strings.Contains(said, "another ospd is running on this database: node ") {
			t.Errorf("a second daemon: %d: %s", exit, said)
		}
		for _, verb := range []string{"fsck", "gc"} {
			if exit, out := ospd(t, other, address, verb); exit != 8 {
				t.Errorf("%s from another folder: %d: %s", verb, exit, out)
			}
		}
	}
	refused()
	d.API().MustUpload("a", []byte("a"))
	d.Kill()
	refused() // its lease runs on
	d.Start()
	d.API().MustUpload("b", []byte("b"))
	stop(t, d)
	second := harness.StartDaemon(t, bin, other, "--config", withStore(t, address, "other", d))
	stop(t, second)
}

// TestPostgresStoppedDaemonIsFenced: a daemon that was stopped for longer than
// its lease, and goes on after another has taken over, writes nothing: what it
// is asked to is refused with 503, and it ends by itself.
func TestPostgresStoppedDaemonIsFenced(t *testing.T) {
	_, address := postgres(t, false)
	d := harness.StartDaemon(t, bin, filepath.Join(t.TempDir(), "data"), "--db", address)
	api := d.API()
	kept := api.MustUpload("kept", []byte("kept"))
	open := api.MustBegin("open", 4)
	d.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { d.Signal(syscall.SIGCONT) })
	// What waits for it when it goes on: one of each kind of write.
	answers := make(chan harness.Answer, 4)
	for _, write := range []func() harness.Answer{
		func() harness.Answer { return api.PutFile("late", []byte("late")) },
		func() harness.Answer { return api.PutPart(open.UID, 1, []byte("late")) },
		func() harness.Answer { _, ans := api.Begin("late", 4); return ans },
		func() harness.Answer { return api.Do("DELETE", "/v1/files/"+kept.UID.String(), nil, 0) },
	} {
		go func() { answers <- write() }()
	}
	runSQL(t, address, `UPDATE nodes SET lease_until = 1`) // as time would
	second := harness.StartDaemon(t, bin, filepath.Join(t.TempDir(), "second"), "--config", withStore(t, address, "second", d))
	before := second.API().Files()
	d.Signal(syscall.SIGCONT)
	for range cap(answers) {
		// A connection that had not been taken yet may be cut as it ends; and of
		// a request whose body had not been read yet, too much time has passed.
		ans := <-answers
		if ans.Err == nil && ans.Status != http.StatusServiceUnavailable && ans.Status != http.StatusRequestTimeout {
			t.Errorf("a write after the take-over: %d %s", ans.Status, ans.Body)
		}
	}
	if exit := d.Wait(); exit != 3 || !strings.Contains(d.Stderr(), "another ospd has taken over the database") {
		t.Errorf("it ended with %d:\n%s", exit, d.Stderr())
	}
	if after := second.API().Files(); len(before) != 1 || len(after) != 1 || after[0].UID != kept.UID {
		t.Errorf("files were %v, and are %v", before, after)
	}
	if u, ans := second.API().Upload(open.UID); ans.Status != http.StatusOK || len(u.Parts) != 0 {
		t.Errorf("the open upload: %d, %+v", ans.Status, u)
	}
	stop(t, second)
}

func runSQL(t *testing.T, address, text string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	if _, err := c.Exec(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// TestPostgresAway: while the database is away requests are told to come back,
// and the daemon lives; when it answers again everything goes on, also the
// lease, whose time is over.
func TestPostgresAway(t *testing.T) {
	server, address := postgres(t, true)
	d := harness.StartDaemon(t, bin, filepath.Join(t.TempDir(), "data"), "--db", address)
	api := d.API()
	data := harness.Content(1, 1000)
	f := api.MustUpload("a", data)
	runSQL(t, address, `UPDATE nodes SET lease_until = 1`) // nobody renews it while it is away
	server.Crash()
	for what, ans := range map[string]harness.Answer{
		"a put":    api.PutFile("b", data),
		"a get":    api.Content(f.UID),
		"a list":   api.Do("GET", "/v1/files", nil, 0),
		"a delete": api.Do("DELETE", "/v1/files/"+f.UID.String(), nil, 0),
	} {
		if ans.Err != nil || ans.Status != http.StatusServiceUnavailable || ans.Code() != protocol.KindUnavailable || ans.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, %v, Retry-After %q: %s", what, ans.Status, ans.Err, ans.Header.Get("Retry-After"), ans.Body)
		}
	}
	if ans := api.Do("GET", "/readyz", nil, 0); ans.Status != http.StatusServiceUnavailable || !bytes.Contains(ans.Body, []byte("database")) {
		t.Errorf("readyz: %d %s", ans.Status, ans.Body)
	}
	if ans := api.Do("GET", "/healthz", nil, 0); ans.Status != http.StatusOK {
		t.Errorf("healthz: %d %s", ans.Status, ans.Body)
	}
	if err := server.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the daemon is ready again", func() bool {
		return api.Do("GET", "/readyz", nil, 0).Status == http.StatusOK
	})
	api.MustHold(f.UID, data)
	api.MustUpload("b", data)
	stop(t, d)
	if exit, out := ospd(t, d.Data, address, "fsck", "--read-data"); exit != 0 {
		t.Errorf("fsck: %d: %s", exit, out)
	}
}

// TestPostgresAwayAtStart: a daemon waits a while for its database, as after a
// machine's start, and then says that it is not there.
func TestPostgresAwayAtStart(t *testing.T) {
	server, address := postgres(t, false)
	data := filepath.Join(t.TempDir(), "data")
	server.Shutdown()
	const secret = "hunter2"
	guarded := strings.Replace(address, "ospd@", "ospd:"+secret+"@", 1)
	exit, said := harness.Refused(t, bin, data, "--db", guarded)
	if exit != 3 || !strings.Contains(said, "ospd: database: open the database ospd at ") || !strings.Contains(said, "the database cannot be reached") ||
		!strings.Contains(said, "\nospd: Look whether the server runs") {
		t.Errorf("ended with %d: %s", exit, said)
	}
	if strings.Contains(said, secret) {
		t.Errorf("it repeats the password: %s", said)
	}
	ran := make(chan error, 1)
	go func() { ran <- server.Run(context.Background()) }()
	d := harness.StartDaemon(t, bin, data, "--db", address)
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	stop(t, d)
}
