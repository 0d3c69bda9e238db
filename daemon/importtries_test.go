package daemon_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// TestImportFromAFlakyStore: where another object of the page fails each time,
// each has three tries of its own, whatever became of it in between, and the
// import comes to its end.
func TestImportFromAFlakyStore(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprint("in place: ", inPlace), func(t *testing.T) {
			w, b, im, end := importWorld(t)
			defer end()
			fl := &flaky{bucket: b, failed: map[string]int{}, fails: func(name string, attempt int) bool {
				switch name {
				case "odd":
					return attempt%2 == 1
				case "even":
					return attempt%2 == 0
				case "fifth":
					return attempt == 5
				}
				return name == "never"
			}}
			for _, name := range []string{"even", "fifth", "fine", "odd", "never"} {
				w.foreign(b, name, "", []byte(name))
			}
			w.stores["old"] = store.New("old", fl, store.Options{Attempts: 1})
			fl.attempt = 1
			j, entries := w.imports(im, intake.Args{Source: "s3:old", InPlace: inPlace})
			for ; j.State == protocol.JobReady && fl.attempt < 20; j, entries = w.goesOn(im, j.ID) {
				if j.Attempts > 1 || j.Error != "" {
					t.Fatalf("after attempt %d: %+v", fl.attempt, j)
				}
				w.clocks.pass(time.Hour)
				fl.attempt++
			}
			if j.State != protocol.JobDone || len(entries) != 5 {
				t.Fatalf("after attempt %d: %+v, entries %v", fl.attempt, j, entries)
			}
			want := map[string]int{"odd": 3, "even": 3, "fifth": 1, "never": 3}
			if !inPlace { // what was copied is not read again
				want = map[string]int{"odd": 1, "never": 3}
			}
			if !maps.Equal(fl.failed, want) {
				t.Errorf("failed %v times, want %v", fl.failed, want)
			}
			for name := range entries {
				if want[name] == 3 {
					w.outcome(entries, name, protocol.ImportFailed, "cannot be read")
				} else {
					w.outcome(entries, name, protocol.ImportImported, "")
				}
			}
		})
	}
}

// flaky has objects that can be described at some attempts only.
type flaky struct {
	*bucket
	attempt int
	fails   func(name string, attempt int) bool
	mu      sync.Mutex
	failed  map[string]int
}

func (f *flaky) Describe(ctx context.Context, name string) (store.Found, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails(name, f.attempt) {
		f.failed[name]++
		return store.Found{}, io.ErrUnexpectedEOF
	}
	return f.bucket.Describe(ctx, name)
}
