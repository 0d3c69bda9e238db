package daemon_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// TestImportOfOtherStores: what looks foreign from one store and is another's,
// its mark and its blobs, is never made a file of, least of all adopted: each
// store that lies there is one entry that says so.
func TestImportOfOtherStores(t *testing.T) {
	w, b, _, end := importWorld(t)
	defer end()
	blob := string(store.NewKey("00000001"))
	for _, name := range []string{
		"a/photo.jpg", "b/STORE", "b/" + blob, "b/note.txt", "deep/in/here/STORE", "deep/in/here/" + blob, "deep/in/x", "deep/y",
		"known/" + blob, "knowns/z", "plain/" + blob,
	} {
		w.foreign(b, name, "", []byte(name))
	}
	im := w.intake(map[string][]string{"old": {"known/"}})
	for _, args := range []intake.Args{{Source: "s3:old"}, {Source: "s3:old", InPlace: true, Adopt: true}, {Source: "s3:old", InPlace: true, Adopt: true}} {
		j, entries := w.imports(im, args)
		if j.State != protocol.JobDone {
			t.Errorf("%+v: %+v", args, j)
		}
		for _, dir := range []string{"b/", "deep/in/here/", "known/"} {
			w.outcome(entries, dir, protocol.ImportFailed, "another store")
		}
		for path, e := range entries {
			good := slices.Contains([]string{"a/photo.jpg", "deep/in/x", "deep/y", "knowns/z", "plain/" + blob}, path)
			if (e.Outcome == protocol.ImportFailed) == good || len(entries) != 8 {
				t.Errorf("%+v: %+v of %d", args, e, len(entries))
			}
		}
	}
	for _, source := range []string{"s3:old/b/0000", "s3:old/b/note", "s3:old/deep/in/here/", "s3:old/known/" + blob} {
		_, entries := w.imports(im, intake.Args{Source: source, InPlace: true, Adopt: true})
		for _, e := range entries {
			if e.Outcome != protocol.ImportFailed || len(entries) != 1 {
				t.Errorf("%s: %+v of %d", source, e, len(entries))
			}
		}
	}
}

// TestStoresInOneBucketKnowEachOther: the configuration says where other stores
// lie, so that nothing of theirs is taken for foreign even where a mark was lost.
func TestStoresInOneBucketKnowEachOther(t *testing.T) {
	at := func(bucket, prefix string) open.Config {
		return open.Config{Type: "s3", Endpoint: "https://s3.example", Region: "r", Bucket: bucket, Prefix: prefix}
	}
	c := daemon.Config{Stores: map[string]open.Config{
		"a": at("one", "a"), "b": at("one", "b/"), "c": at("two", "c"), "d": {Type: "local", Path: "/d"},
	}}
	got, err := json.Marshal(daemon.OthersOf(&c))
	if want := `{"a":["b/"],"b":["a/"]}`; string(got) != want || err != nil {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}
