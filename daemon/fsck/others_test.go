package fsck_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/fsck"
	"github.com/osproxy/osproxy/store"
)

// TestWhatLiesWithOthersIsNotCalledClean: what this machine cannot see is named, with
// where it can be looked at, and what is said of the rest says that it is the rest.
func TestWhatLiesWithOthersIsNotCalledClean(t *testing.T) {
	w := newWorld(t)
	w.put(noise(1, 10))
	w.part(w.begin(bs), 1, noise(2, bs), "")
	cfg := w.config()
	cfg.ReadData = true
	cfg.Stores = map[string]*store.Store{}
	cfg.Others = func(context.Context) (map[string]fsck.Other, error) {
		return map[string]fsck.Other{"disk": {Node: "n1", Address: "10.0.0.2:9101"}, "empty": {Node: "n2"}}, nil
	}
	r, err := fsck.Run(t.Context(), cfg)
	must(t, err)
	want := []fsck.Unchecked{{Store: "disk", Node: "n1", Address: "10.0.0.2:9101", Blobs: 2}, {Store: "empty", Node: "n2"}}
	if !r.Clean() || len(r.Unchecked) != 2 || r.Unchecked[0] != want[0] || r.Unchecked[1] != want[1] {
		t.Errorf("%+v", r)
	}
	var text, out bytes.Buffer
	must(t, r.WriteText(&text))
	must(t, r.WriteJSON(&out))
	for _, say := range []string{
		"UNCHECKED disk: 2 blobs on the disk of node n1 (10.0.0.2:9101 when it ran); run ospd fsck there, with the configuration of that node\n",
		"UNCHECKED empty: 0 blobs on the disk of node n2; run ospd fsck there",
		"No findings in what was checked, 0 pending; 2 stores were NOT checked, as is said above.\n",
	} {
		if !strings.Contains(text.String(), say) {
			t.Errorf("it does not say %q:\n%s", say, text.String())
		}
	}
	if strings.Contains(text.String(), "Clean") {
		t.Errorf("what was not looked at is clean:\n%s", text.String())
	}
	if !strings.Contains(out.String(), `"unchecked":[{"store":"disk","node":"n1","address":"10.0.0.2:9101","blobs":2},`) {
		t.Error(out.String())
	}
}

// TestWhoseAStoreIsCannotBeToldOf is a finding of the database, and nothing is
// taken for another's.
func TestWhoseAStoreIsCannotBeToldOf(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.Others = func(context.Context) (map[string]fsck.Other, error) { return nil, errors.New("torn") }
	r, err := fsck.Run(t.Context(), cfg)
	must(t, err)
	if len(r.Findings) != 1 || r.Findings[0].Kind != fsck.KindDatabase || !strings.Contains(r.Findings[0].Detail, "torn") {
		t.Errorf("%+v", r)
	}
}
