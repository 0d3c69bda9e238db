package sweep

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// TestEachSweepsItsOwn: what lies on a node's disk is deleted, and its row goes, by
// that node's sweep alone, and what lies on another's is left as it is: it is not even
// listed, as there may be much of it for as long as that node is gone.
func TestEachSweepsItsOwn(t *testing.T) {
	names := []string{"shared", "disk", "disk@other", "nowhere"}
	for name, tt := range map[string]struct {
		do     func(*Sweeper, context.Context) (Report, error)
		gone   []string
		failed int
		listed []string
	}{
		"of all nodes": {(*Sweeper).Sweep, []string{"shared"}, 1, []string{"nowhere", "shared"}},
		"of the disks": {(*Sweeper).SweepDisks, []string{"disk"}, 0, []string{"disk"}},
		"alone":        {(*Sweeper).Round, []string{"shared", "disk"}, 1, []string{"disk", "disk@other", "nowhere", "shared"}},
	} {
		for _, state := range []meta.BlobState{meta.BlobDoomed, meta.BlobGone} {
			d := &doomed{knows: true}
			objects := map[string]*mem.Backend{}
			stores := map[string]*store.Store{}
			for i, s := range names {
				d.blobs = append(d.blobs, meta.Blob{ID: meta.BlobID(i + 1), NewBlob: meta.NewBlob{Store: s, Key: string(store.NewKey("00000001"))},
					State: state, Origin: meta.OriginOwn, GoneAt: &time.Time{}})
				if i < 2 {
					objects[s] = mem.New()
					stores[s] = store.New(s, objects[s], store.Options{})
				}
			}
			s := New(Config{Meta: d, Stores: stores, Disks: map[string]bool{"disk": true, "shared": false}, Logger: quiet(),
				Elsewhere: func(_ context.Context, name string) (bool, error) { return name == "disk@other", nil }})
			r, err := tt.do(s, t.Context())
			var gone []string
			for _, id := range d.gone {
				gone = append(gone, names[id-1])
			}
			want, failed := tt.gone, tt.failed
			if state == meta.BlobGone && failed > 0 {
				want, failed = append(slices.Clone(want), "nowhere"), 0 // it was deleted once
			}
			slices.Sort(d.listed)
			slices.Sort(gone)
			slices.Sort(want)
			if listed := slices.Compact(d.listed); !slices.Equal(listed, tt.listed) {
				t.Errorf("%s: of %q is listed", name, listed)
			}
			if err != nil || !slices.Equal(gone, want) || r.Failed != failed {
				t.Errorf("%s: of what is %s %q went, not %q; %+v, %v", name, state, gone, want, r, err)
			}
		}
	}
}

// TestNobodyKnowsWhose: where it cannot be said whose a store is, nothing of it
// goes.
func TestNobodyKnowsWhose(t *testing.T) {
	b := newBin(t, 0, 1)
	b.blobs = []meta.Blob{{ID: 1, NewBlob: meta.NewBlob{Store: "disk", Key: "x"}, State: meta.BlobDoomed, Origin: meta.OriginOwn}}
	b.sweep.cfg.Elsewhere = func(context.Context, string) (bool, error) { return false, errors.New("away") }
	if r := b.round(t); r.Failed != 1 || len(b.gone) != 0 {
		t.Errorf("%+v, %v", r, b.gone)
	}
}
