//go:build postgres

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// beside is another data folder on the database of cfg, with a store of its own
// for new blobs beside the one of cfg.
func beside(t *testing.T, cfg Config) Config {
	t.Helper()
	first := open.Config{Type: "local", Path: filepath.Join(cfg.Data, "blobs")}
	cfg.Data = filepath.Join(t.TempDir(), "data")
	cfg.DefaultStore = "beside"
	cfg.Stores = map[string]open.Config{"disk": first, "beside": {Type: "local", Path: filepath.Join(cfg.Data, "blobs")}}
	return cfg
}

// expire has the lease of whoever uses the database of cfg run out, as time
// does.
func expire(t *testing.T, cfg Config) {
	t.Helper()
	metatest.Behind(t, cfg.databasePath(), `UPDATE nodes SET lease_until = 1`)
}

// takesOver starts a daemon on a database whose holder is alive and has let its
// lease run out.
func takesOver(t *testing.T, from Config) *Daemon {
	t.Helper()
	for cfg := beside(t, from); ; {
		expire(t, from)
		d, err := New(t.Context(), cfg, "test", quiet())
		if errors.Is(err, ErrRunning) {
			continue // it renewed the lease in between
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("stop: %v", err)
			}
		})
		return d
	}
}

// refusesAnother expects that another daemon may not start, and is told by whom.
func refusesAnother(t *testing.T, cfg Config, says ...string) {
	t.Helper()
	d, err := New(t.Context(), cfg, "test", quiet())
	if err == nil {
		t.Fatal(errors.Join(errors.New("two daemons on one database"), d.Close()))
	}
	if !errors.Is(err, ErrRunning) || stageOf(err) != StageDatabase {
		t.Errorf("refused with %v", err)
	}
	for _, word := range says {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %q", err, word)
		}
	}
}

func TestOneDaemonOnADatabase(t *testing.T) {
	cfg := config(t)
	d, stop := running(t, cfg)
	uploadTo(t, d, []byte("a"))
	other := beside(t, cfg)
	refusesAnother(t, other, "node "+string(d.in.Node), "since ", "until ")
	for what, err := range map[string]error{
		"fsck": second(Check(t.Context(), completed(t, other), false, quiet())), "gc": second(Collect(t.Context(), completed(t, other), Collecting{ClockIsRight: true}, quiet())),
	} {
		if !errors.Is(err, ErrRunning) {
			t.Errorf("%s beside a daemon: %v", what, err)
		}
	}
	tokens, err := OpenTokens(t.Context(), other, false, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.List(t.Context(), ""); errors.Join(err, tokens.Close()) != nil {
		t.Errorf("tokens beside a daemon: %v", err)
	}
	uploadTo(t, d, []byte("b")) // nobody has taken anything from it
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// Given back: there is nothing to wait for.
	_, stop = running(t, other)
	refusesAnother(t, cfg)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	running(t, cfg)
}

func second[T any](_ T, err error) error { return err }

func completed(t *testing.T, cfg Config) Config {
	t.Helper()
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// crashed leaves a database as a daemon does that is killed, and gives what
// held it.
func crashed(t *testing.T, cfg Config, n meta.NewNode) (lease meta.NodeLease) {
	t.Helper()
	db := metatest.OpenDB(t, meta.Config{Path: cfg.databasePath(), Logger: quiet()})
	lease, err := db.TakeNode(t.Context(), n, placeLease)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return lease
}

// After a crash a data folder has its database back at once, where it is still
// in its place: the lock says that nobody else is there.
func TestCrashedDaemonComesBack(t *testing.T) {
	cfg := config(t)
	d, stop := running(t, cfg)
	n := meta.NewNode{ID: d.in.Node, Spot: spot(cfg.Data)}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	crashed(t, cfg, n)
	refusesAnother(t, beside(t, cfg), "node "+string(n.ID))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in, err := OpenInstallation(ctx, &cfg, true, slog.New(stopper{slog.DiscardHandler, cancel}), unobserved)
	if err == nil {
		err = in.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stopper ends a start that waits and says so.
type stopper struct {
	slog.Handler
	stop func()
}

func (s stopper) Enabled(context.Context, slog.Level) bool { return true }

func (s stopper) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "waiting") {
		s.stop()
	}
	return nil
}

// The data folder on another machine, or a copy of it, waits for the lease of
// the node to end.
func TestMovedDataFolder(t *testing.T) {
	cfg := config(t)
	d, stop := running(t, cfg)
	id := d.in.Node
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	crashed(t, cfg, meta.NewNode{ID: id, Spot: "elsewhere"})
	metatest.Behind(t, cfg.databasePath(), `UPDATE nodes SET lease_until = lease_until - ?`, placeLease.Milliseconds()-500)
	running(t, cfg)
}

// writes has a daemon be about to record an object that it has written.
func writes(t *testing.T, d *Daemon, name string) store.Key {
	t.Helper()
	n, err := d.in.DB.ReserveDir(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	key := store.NewKey(store.DirOf(n))
	if err := d.in.Stores[name].Put(t.Context(), key, strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	return key
}

// A daemon whose place was taken, since its lease had run out, ends by itself
// and says why; what it was to write is refused.
func TestDaemonLosesItsPlace(t *testing.T) {
	cfg := config(t)
	d, err := New(t.Context(), cfg, "test", quiet())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(context.Background()) }()
	uploadTo(t, d, []byte("a"))
	other := takesOver(t, cfg)
	writing := writes(t, other, "disk")
	// The first write that fails tells it, this one or one of its own; without any
	// the next renewal would.
	if _, err := d.in.DB.ReserveUIDs(t.Context(), 0, 1<<40); err == nil {
		t.Error("it wrote")
	}
	err = <-ended
	if stageOf(err) != StageDatabase || !errors.Is(err, errPlaceLost) {
		t.Errorf("it ended with %v", err)
	}
	if _, err := other.in.Stores["disk"].Stat(t.Context(), writing); err != nil {
		t.Errorf("it removed what the other is writing: %v", err)
	}
	if status, body := get(t, other.URL()+"/readyz"); status != http.StatusOK {
		t.Errorf("the other is %d: %s", status, body)
	}
}

// fsck and gc end too when they lose the place.
func TestChecksLoseTheirPlace(t *testing.T) {
	cfg := completed(t, config(t))
	_, stop := running(t, cfg)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	in, err := OpenInstallation(t.Context(), &cfg, false, quiet(), unobserved)
	if err != nil {
		t.Fatal(err)
	}
	ctx, ended := in.within(t.Context())
	takesOver(t, cfg)
	if err := in.DB.RememberStore(t.Context(), "x"); !errors.Is(err, meta.ErrNodeLost) {
		t.Errorf("it wrote: %v", err)
	}
	<-ctx.Done()
	if err := ended(ctx.Err()); !errors.Is(err, errPlaceLost) {
		t.Errorf("it ends with %v", err)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}

// A database that is not there is told from one that does not answer.
func TestNoDatabase(t *testing.T) {
	cfg := config(t)
	cfg.DB = DatabaseAt("postgres://ospd:hunter2@127.0.0.1:1/files")
	for what, err := range map[string]error{
		"fsck": second(Check(t.Context(), completed(t, cfg), false, quiet())),
	} {
		if stageOf(err) != StageDatabase || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "cannot be reached") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := os.Stat(cfg.Data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
}

// What the daemon takes of what all share it takes by names of its own: events
// by its node's, jobs by one that no other process has.
func TestNamesInTheDatabase(t *testing.T) {
	cfg := config(t)
	names := map[string]bool{} // of all that were seen: a process leases again what the one before it did
	for process := range 2 {
		d, stop := running(t, cfg)
		uploadTo(t, d, []byte{byte(process)}) // of which there is work to do in each
		until(t, "the event is handled", func() bool {
			return column(t, cfg, `SELECT DISTINCT holder FROM consumers WHERE holder <> ''`) == string(d.in.Node)
		})
		until(t, "a job was leased", func() bool {
			for _, name := range strings.Fields(column(t, cfg, `SELECT COALESCE(string_agg(DISTINCT leased_by, ' '), '') FROM jobs`)) {
				names[name] = true
			}
			return len(names) > process
		})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	if len(names) != 2 {
		t.Errorf("two processes leased jobs as %v", names)
	}
}

// column is the only value that a query gives, "" where it gives none.
func column(t *testing.T, cfg Config, text string) (value string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), *cfg.DB.address)
	if err != nil {
		t.Fatal(err)
	}
	err = c.QueryRow(t.Context(), text).Scan(&value)
	if err := errors.Join(c.Close(t.Context()), err); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return value
}
