package predecessor

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
)

// bucket is a store with the objects named.
func bucket(t *testing.T, name string, objects ...string) (*mem.Backend, storetest.FaultyObjects, Place) {
	t.Helper()
	b := mem.New()
	for _, o := range objects {
		if err := b.PutForeign(t.Context(), o, "", []byte(o)); err != nil {
			t.Fatal(err)
		}
	}
	faulty := storetest.NewFaultyObjects(b)
	st := store.New(name, faulty, store.Options{Attempts: 1})
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, faulty, Place{Store: st}
}

// TestFind: an object is looked for where its bucket was said to be, else in the
// rest, as a folder of that or without.
func TestFind(t *testing.T) {
	_, _, img := bucket(t, "img", "1.png", "video/2.mp4")
	_, _, rest := bucket(t, "rest", "video/3.mp4", "4.zip", "archive/4.zip", "5.zip", "image/6.png", "theirs/STORE", "theirs/7.bin", "known/8.bin")
	rest.Others = []string{"known/"}
	both := NewPlaces(map[string]Place{"image": img}, &rest)
	for _, c := range []struct {
		places         Places
		bucket, object string
		store, key     string
		outcome        Outcome
		says           string
	}{
		{both, "image", "1.png", "img", "@1.png", "", ""},
		{both, "image", "6.png", "", "", Missing, `no object "6.png" in store img`},
		{both, "video", "3.mp4", "rest", "@video/3.mp4", "", ""},
		{both, "archive", "4.zip", "rest", "@archive/4.zip", "", ""},
		{both, "archive", "5.zip", "rest", "@5.zip", "", ""},
		// Once they were found without their bucket that is tried first.
		{both, "archive", "4.zip", "rest", "@4.zip", "", ""},
		{both, "video", "2.mp4", "", "", Missing, `no object "video/2.mp4" in store rest`},
		{both, "theirs", "7.bin", "", "", Failed, "another store of ospd's"},
		{both, "known", "8.bin", "", "", Failed, "another store of ospd's"},
		{both, "image", "../1.png", "", "", Failed, "no name of an object"},
		{both, "image", "", "", "", Failed, "no name of an object"},
		{both, "..", "1.png", "", "", Failed, "no name of an object"},
		{both, "image", strings.Repeat("x", 1025), "", "", Failed, "no name of an object"},
		{NewPlaces(map[string]Place{"image": img}, nil), "video", "3.mp4", "", "", Failed, "--store video=NAME"},
	} {
		o, err := c.places.find(t.Context(), c.bucket, c.object)
		refused, _ := errors.AsType[*refusal](err)
		switch {
		case c.outcome == "" && (err != nil || o.Store != c.store || o.Key != c.key || o.Size != int64(len(c.key)-1) || o.Tag == ""):
			t.Errorf("%s/%s: %+v, %v", c.bucket, c.object, o, err)
		case c.outcome != "" && (refused == nil || refused.outcome != c.outcome || !strings.Contains(refused.why, c.says)):
			t.Errorf("%s/%s: %v", c.bucket, c.object, err)
		}
	}
}

// TestFindInAFailingStore: what is wrong with one object is told of it, and a
// store that does not answer ends the import.
func TestFindInAFailingStore(t *testing.T) {
	_, faulty, at := bucket(t, "img", "1.png")
	p := NewPlaces(map[string]Place{"image": at}, nil)
	for name, c := range map[string]struct {
		describe, check error
		ends            bool
	}{
		"it may not be read":      {store.ErrDenied, nil, false},
		"it alone cannot be":      {io.ErrUnexpectedEOF, nil, false},
		"nothing answers":         {io.ErrUnexpectedEOF, io.ErrUnexpectedEOF, true},
		"the bucket is not there": {store.ErrNoBucket, store.ErrNoBucket, true},
	} {
		faulty.Queue(storetest.OpDescribe, storetest.Fault{Before: c.describe})
		if c.check != nil {
			faulty.Queue(storetest.OpCheck, storetest.Fault{Before: c.check})
		}
		_, err := p.find(t.Context(), "image", "1.png")
		_, ends := errors.AsType[*StoreError](err)
		refused, isRefusal := errors.AsType[*refusal](err)
		if ends != c.ends || isRefusal == c.ends || isRefusal && refused.outcome != Failed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.find(t.Context(), "image", "1.png"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
