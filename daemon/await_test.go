package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/open"
)

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestStoreThatIsAway: a daemon that cannot reach a store at its start serves what
// it can, and says which one is away, to whom it concerns, without its secrets.
func TestStoreThatIsAway(t *testing.T) {
	address := nobody(t)
	cfg := config(t)
	cfg.DefaultStore = "away"
	cfg.Stores = map[string]open.Config{
		"away": {Type: "s3", Endpoint: "http://" + address, Region: "us-east-1", Bucket: "files", AccessKeyID: "key", SecretAccessKey: store.NewSecret("hush-hush"), PathStyle: true},
		"here": {Type: "local", Path: filepath.Join(t.TempDir(), "here")},
	}
	d, stop := running(t, cfg)
	status, body := get(t, d.URL()+"/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "store away is not usable") || strings.Contains(body, "here") || strings.Contains(body, address) {
		t.Errorf("/readyz: %d %s", status, body)
	}
	status, body = get(t, d.URL()+"/v1/stores")
	if status != http.StatusOK || strings.Count(body, `"reachable":false`) != 1 || strings.Contains(body, "hush-hush") {
		t.Errorf("the stores: %d %s", status, body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL()+"/v1/files?name=a", strings.NewReader("a"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(said), "store_unavailable") {
		t.Errorf("a put: %d %s", resp.StatusCode, said)
	}
	known, err := d.in.DB.KnownStores(t.Context())
	if _, ok := known["away"]; err != nil || ok || known["here"] != "local" {
		t.Errorf("the database knows %v, %v", known, err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// What has to look at everything does not go on without a store.
	_, err = Check(t.Context(), cfg, false, quiet())
	if stageOf(err) != StageStore {
		t.Fatal(err)
	}
	for _, word := range []string{"away", "see that it runs and can be reached"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in %v", word, err)
		}
	}
	if strings.Contains(err.Error(), "hush-hush") {
		t.Errorf("it tells the secret: %v", err)
	}
}

// returning is a storage that cannot be reached at first.
type returning struct {
	*mem.Backend
	left int
}

func (r *returning) Mark(ctx context.Context) (string, error) {
	if r.left--; r.left >= 0 {
		return "", errors.New("no route")
	}
	return r.Backend.Mark(ctx)
}

// awaiting is whose mark a store has that comes back, whether it is known, and
// what is wrong with it then.
type awaiting struct {
	mark   string
	before bool
	want   error
}

// settled compares what became of the store after so many tries.
func (c awaiting) settled(t *testing.T, st *store.Store, db *meta.DB, b *mem.Backend, tries int) {
	t.Helper()
	if away := st.Away(); !errors.Is(away, c.want) || (away == nil) != (c.want == nil) {
		t.Errorf("it is away: %v", away)
	}
	if ends := tries == 3; ends != (c.want == nil) {
		t.Errorf("it was tried %d times", tries)
	}
	known, err := db.KnownStores(t.Context())
	if (known["s"] == "s3") != (c.want == nil) || err != nil {
		t.Errorf("the database knows %v, %v", known, err)
	}
	mark, err := b.Mark(t.Context())
	if c.mark == "you" && mark != "you" || c.want == nil && (mark == "" || err != nil) || errors.Is(c.want, store.ErrUnmarked) && mark != "" {
		t.Errorf("its mark is %q, %v", mark, err)
	}
}

// TestAwaitedStore: one that comes back is used once its mark was read, or set;
// one that turns out not to be ours is left alone for good, and says why.
func TestAwaitedStore(t *testing.T) {
	for name, c := range map[string]awaiting{
		"new":               {"", false, nil},
		"ours":              {"me", true, nil},
		"it lost its mark":  {"", true, store.ErrUnmarked},
		"another's":         {"you", false, store.ErrForeign},
		"another's, by now": {"you", true, store.ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t)
			in, err := OpenInstallation(t.Context(), &cfg, true, quiet(), unobserved)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := in.Close(); err != nil {
					t.Error(err)
				}
			}()
			b := mem.New()
			if c.mark != "" {
				mark := map[string]string{"me": in.ServerID, "you": "you"}[c.mark]
				if err := b.SetMark(t.Context(), mark); err != nil {
					t.Fatal(err)
				}
			}
			st := store.New("s", &returning{b, 2}, store.Options{Attempts: 1})
			st.Shut(errors.New("no route"))
			in.awaited = []claim{{st: st, kind: "s3", before: c.before}}
			tries, ctx, over := 0, t.Context(), errors.New("over")
			var rests []time.Duration
			in.await(ctx, quiet(), func(_ context.Context, rest time.Duration) error {
				rests = append(rests, rest)
				if tries++; tries > 4 {
					return over
				}
				if st.Away() == nil {
					t.Error("it was admitted too early")
				}
				return nil
			})
			c.settled(t, st, in.DB, b, tries)
			want := []time.Duration{5 * time.Second, 5 * time.Second, 5 * time.Second}
			if c.want != nil { // its third answer is one that does not pass
				want = append(want, 10*time.Second, 20*time.Second)
			}
			if !slices.Equal(rests, want) {
				t.Errorf("it is left alone for %v, want %v", rests, want)
			}
		})
	}
}
