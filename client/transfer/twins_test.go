package transfer

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// twinRig has a daemon that hears claims, and n files of equal content.
func twinRig(t *testing.T, n int) (r *rig, paths []string, data []byte) {
	r = newRig(t)
	r.d.instant = true
	r.d.caps.Features = []string{protocol.FeatureInstant}
	data = random(2*testPart, 1)
	for i := range n {
		path := filepath.Join(r.dir, fmt.Sprint(i))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return r, paths, data
}

// putAll puts files at once and counts how they ended.
func (r *rig) putAll(t *testing.T, paths []string) (ends map[Outcome]int, sent int64) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	ends = map[Outcome]int{}
	for _, path := range paths {
		all.Go(func() {
			res, _ := r.Put(t.Context(), PutRequest{Path: path})
			mu.Lock()
			defer mu.Unlock()
			ends[res.Outcome]++
			sent += res.SentBytes
		})
	}
	all.Wait()
	if len(r.twins.busy) != 0 {
		t.Errorf("left behind: %v", r.twins.busy)
	}
	return ends, sent
}

// TestEqualFilesTravelOnce: of those that are put at once one is sent, and the
// others are claimed when it is there.
func TestEqualFilesTravelOnce(t *testing.T) {
	r, paths, data := twinRig(t, 6)
	ends, sent := r.putAll(t, paths)
	if ends[Uploaded] != 1 || ends[Instant] != 5 || sent != int64(len(data)) {
		t.Errorf("%v, %d bytes sent", ends, sent)
	}
	r.transfers(t, 0)
}

// TestTwinsAreClaimedAtOnce: once one is there, the others do not wait for each
// other: all their claims are under way at one time.
func TestTwinsAreClaimedAtOnce(t *testing.T) {
	const others = 3
	r, paths, _ := twinRig(t, 1+others)
	var claims atomic.Int64
	all := make(chan struct{})
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, "/claim") {
			if claims.Add(1) == others {
				close(all)
			}
			select {
			case <-all:
			case <-q.Context().Done():
			}
		}
		serve(w, q)
	})
	if ends, _ := r.putAll(t, paths); ends[Uploaded] != 1 || claims.Load() < others {
		t.Errorf("%v with %d claims", ends, claims.Load())
	}
}

// TestTwinOfAFailedPut: the next one takes its place.
func TestTwinOfAFailedPut(t *testing.T) {
	r, paths, data := twinRig(t, 4)
	var parts atomic.Int64
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if q.Method == http.MethodPut && parts.Add(1) == 1 {
			writeProblem(w, protocol.KindStoreFull, nil)
			return
		}
		serve(w, q)
	})
	ends, _ := r.putAll(t, paths)
	if ends[Failed] != 1 || ends[Uploaded] != 1 || ends[Instant] != 2 {
		t.Errorf("%v", ends)
	}
	for _, f := range r.d.files {
		r.d.stored(t, f.file.UID, data)
	}
}

// TestNobodyWaitsWhereNothingCanBeClaimed, nor for a file that is another.
func TestNobodyWaitsWhereNothingCanBeClaimed(t *testing.T) {
	for _, off := range []bool{true, false} {
		r, paths, _ := twinRig(t, 2)
		if off {
			r.d.instant, r.d.caps.Features = false, nil
		} else if err := os.WriteFile(paths[1], random(2*testPart, 2), 0o600); err != nil {
			t.Fatal(err)
		}
		// No part is taken before both uploads have begun.
		var begun sync.WaitGroup
		begun.Add(2)
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			if q.Method == http.MethodPut {
				begun.Wait()
			}
			serve(w, q)
			if q.Method == http.MethodPost && strings.HasSuffix(q.URL.Path, "/uploads") {
				begun.Done()
			}
		})
		if ends, _ := r.putAll(t, paths); ends[Uploaded] != 2 {
			t.Errorf("claims are off: %v: %v", off, ends)
		}
	}
}

func TestTwinThatIsStopped(t *testing.T) {
	var all twins
	one := twin{size: 1}
	leave, err := all.enter(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.enter(ctx, one); err == nil {
		t.Error("two have their turn")
	}
	leave()
	if leave, err = all.enter(ctx, one); err != nil {
		t.Fatal(err)
	}
	leave()
	if len(all.busy) != 0 {
		t.Errorf("left behind: %v", all.busy)
	}
}
