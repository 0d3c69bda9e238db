package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/docs/schema/schematest"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// names are the names in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestStoreTest(t *testing.T) {
	data := t.TempDir()
	code, stdout, stderr := ospd(t, "store", "test", "disk", "--data", data, "--json")
	if code != exitDone || stderr != "" {
		t.Fatalf("exit %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	schemas, err := schematest.Load()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	outcomes := map[string]int{}
	for _, line := range lines[:len(lines)-1] {
		if err := schemas.Check("store_test_case.json", []byte(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		var c trialLine
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		outcomes[c.Outcome]++
	}
	last := []byte(lines[len(lines)-1])
	if err := schemas.Check("store_test_summary.json", last); err != nil {
		t.Errorf("%s: %v", last, err)
	}
	var s trialSummary
	if err := json.Unmarshal(last, &s); err != nil {
		t.Fatal(err)
	}
	if !s.OK || !s.Removed || s.Passed < 30 || s.Passed != outcomes["passed"] || s.Inapplicable != outcomes["inapplicable"] || s.Store != "disk" {
		t.Errorf("summary %s of %v", last, outcomes)
	}
	if left := names(t, data); len(left) > 0 {
		t.Errorf("left in the data folder: %q", left)
	}
}

func TestStoreTestRefuses(t *testing.T) {
	data := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"store"}, exitConfig, "say test NAME"},
		{[]string{"store", "test"}, exitConfig, "accepts 1 arg"},
		{[]string{"store", "test", "minio", "--data", data}, exitConfig, `no store "minio" in the configuration; there are disk`},
		{[]string{"store", "test", "disk", "--data", filepath.Join(data, "none")}, exitStore, `make a folder to try store "disk" in`},
		{[]string{"store", "test", "disk", "--config", filepath.Join(data, "none")}, exitConfig, "none"},
	} {
		code, stdout, stderr := ospd(t, c.args...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", c.args, code, stdout, stderr)
		}
	}
	if left := names(t, data); len(left) > 0 {
		t.Errorf("left in the data folder: %q", left)
	}
}

// denying is a store with credentials that may not delete.
type denying struct{ store.Backend }

func (denying) Delete(context.Context, store.Key) error {
	return fmt.Errorf("403 AccessDenied: %w", store.ErrDenied)
}

// ending ends a context at the first Stat.
type ending struct {
	store.Backend
	end func()
}

func (e ending) Stat(ctx context.Context, key store.Key) (store.Info, error) {
	e.end()
	return e.Backend.Stat(ctx, key)
}

// tried runs a trial of a local store that is made otherwise.
func tried(ctx context.Context, t *testing.T, made func(store.Backend) store.Backend) (out, place string, err error) {
	t.Helper()
	dir := t.TempDir()
	var text bytes.Buffer
	tr, err := newTrial(ctx, "disk", open.Config{Type: "local", Path: filepath.Join(dir, "blobs")}, newTrialReport(&text, false))
	if err != nil {
		t.Fatal(err)
	}
	tr.backend = func(ctx context.Context, c open.Config) (store.Backend, error) {
		b, err := open.Backend(ctx, c)
		if err != nil {
			return nil, err
		}
		return made(b), nil
	}
	err = tr.run()
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	return text.String(), tr.root.Path, err
}

// TestStoreTestFails: what is wrong is said, case by case, with what to do about
// what is common, once.
func TestStoreTestFails(t *testing.T) {
	out, place, err := tried(t.Context(), t, func(b store.Backend) store.Backend { return denying{b} })
	if err == nil || !strings.Contains(err.Error(), "cases failed: do not use this store as it is") || strings.Count(err.Error(), "access is denied: check the key") != 1 {
		t.Errorf("error %v", err)
	}
	lines := strings.Split(out, "\n")
	failed := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "FAIL  delete (") })
	if failed < 0 || !strings.Contains(lines[failed+1], "        delete: 403 AccessDenied: access denied") {
		t.Errorf("printed:\n%s", out)
	}
	if !strings.Contains(lines[0], place) || !strings.Contains(out, "Nothing was left behind.") || !strings.Contains(out, "\nok    put keeps bytes (") {
		t.Errorf("printed:\n%s", out)
	}
}

// TestStoreTestIsInterrupted: it ends at once, and cleans up.
func TestStoreTestIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, _, err := tried(ctx, t, func(b store.Backend) store.Backend { return ending{b, cancel} })
	if err == nil || err.Error() != "interrupted: not all cases ran" {
		t.Errorf("error %v", err)
	}
	if strings.Contains(out, "FAIL") || !strings.Contains(out, "Nothing was left behind.") {
		t.Errorf("printed:\n%s", out)
	}
}

// TestStoreTestGoesWhereTheStoreIs: a file system that is mounted as the store's
// folder is not the one beside it.
func TestStoreTestGoesWhereTheStoreIs(t *testing.T) {
	if !isMount("/proc") || isMount(t.TempDir()) || isMount("/none") {
		t.Error("it is not known where file systems are mounted")
	}
}

func TestAdvice(t *testing.T) {
	for _, err := range []error{
		store.ErrDenied, store.ErrNoBucket, store.ErrRegion, store.ErrClock, store.ErrUnsupported, store.ErrFull,
		&store.BusyError{Err: io.ErrUnexpectedEOF},
	} {
		got := withAdvice(errors.New("it failed"), fmt.Errorf("put: %w", err), err)
		if lines := strings.Split(got.Error(), "\n"); len(lines) != 2 || lines[0] != "it failed" || len(lines[1]) < 40 {
			t.Errorf("%v: %q", err, got)
		}
	}
	if got := withAdvice(io.ErrUnexpectedEOF, io.ErrUnexpectedEOF); got.Error() != io.ErrUnexpectedEOF.Error() {
		t.Errorf("%q", got)
	}
}
