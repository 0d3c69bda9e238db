//go:build servers

package process

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// held is what a file was when it was put, with a link to it that was signed then.
type held struct {
	data []byte
	etag string
	link string
}

// keeping knows what the daemon has to hold.
type keeping struct {
	t *testing.T

	mu    sync.Mutex
	files map[protocol.UID]held // guarded by mu
}

func (k *keeping) hold(api *harness.API, f protocol.File, data []byte) {
	k.t.Helper()
	link := signed(k.t, api, fmt.Sprintf(`{"links": [{"action": "get", "uid": "%s"}]}`, f.UID))[0]
	k.mu.Lock()
	defer k.mu.Unlock()
	k.files[f.UID] = held{data, f.ETag, "/l/" + link.Token}
}

// any is one of the files.
func (k *keeping) any(random *rand.Rand) (protocol.UID, held) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := random.IntN(len(k.files))
	for uid, h := range k.files {
		if n--; n < 0 {
			return uid, h
		}
	}
	panic("there are fewer files than there are")
}

func (k *keeping) put(api *harness.API) {
	k.t.Helper()
	for i, size := range []int64{0, 1, 1000, protocol.OneShotMax} {
		data := harness.Content(uint64(i), size)
		k.hold(api, api.MustFile(api.PutFile(fmt.Sprint("small ", size), data), http.StatusCreated), data)
	}
	for i, size := range []int64{protocol.OneShotMax + 1, protocol.BlockSize, 5<<20 + 1, 20 << 20, 100 << 20} {
		data := harness.Content(uint64(10+i), size)
		k.hold(api, api.MustUpload(fmt.Sprint("large ", size), data), data)
	}
	shared := harness.Content(12, 5<<20+1)
	k.hold(api, api.MustUpload("the same", shared), shared)
	for i := range 50 {
		data := harness.Content(uint64(100+i), 16<<10)
		k.hold(api, api.MustFile(api.PutFile(fmt.Sprint("many ", i), data), http.StatusCreated), data)
	}
}

// unfinished is an upload of which a part is sent.
type unfinished struct {
	k    *keeping
	u    protocol.Upload
	data []byte
}

func (k *keeping) begin(api *harness.API) *unfinished {
	k.t.Helper()
	data := harness.Content(50, 20<<20)
	u := api.MustBegin("open", int64(len(data)))
	api.Require(api.PutPart(u.UID, 1, data[:u.PartSize]), http.StatusOK)
	return &unfinished{k, u, data}
}

func (o *unfinished) finish(api *harness.API) {
	o.k.t.Helper()
	api.MustPutParts(o.u, o.data) // the first part once more, which goes elsewhere now
	o.k.hold(api, api.MustFile(api.Commit(o.u.UID), http.StatusOK), o.data)
}

// read has readers compare files, whole ones and ranges, by their links and
// without in turn, until stop, which gives how many they read.
func (k *keeping) read(d *harness.Daemon) (stop func() int64) {
	end := make(chan struct{})
	var n atomic.Int64
	var wg sync.WaitGroup
	for seed := range uint64(3) {
		api := d.API()
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for byLink := seed%2 == 0; ; byLink = !byLink {
				select {
				case <-end:
					return
				default:
				}
				uid, h := k.any(random)
				path := contentPath(uid)
				if byLink {
					path = h.link
				}
				if err := sameAs(api, path, h, random); err != nil {
					k.t.Errorf("%s of %d bytes, by link: %v: %v", uid, len(h.data), byLink, err)
					return
				}
				n.Add(1)
			}
		})
	}
	return func() int64 {
		close(end)
		wg.Wait()
		return n.Load()
	}
}

func contentPath(uid protocol.UID) string { return "/v1/files/" + uid.String() + "/content" }

// sameAs reads a file, or a range of it.
func sameAs(api *harness.API, path string, h held, random *rand.Rand) error {
	status, want := http.StatusOK, h.data
	var header []string
	if len(want) > 0 && random.IntN(2) == 0 {
		first := random.IntN(len(want))
		last := first + random.IntN(min(len(want)-first, 6<<20))
		status, want = http.StatusPartialContent, want[first:last+1]
		header = []string{"Range", fmt.Sprintf("bytes=%d-%d", first, last)}
	}
	ans := api.Do("GET", path, nil, 0, header...)
	switch {
	case ans.Err != nil:
		return ans.Err
	case ans.Status != status:
		return fmt.Errorf("answered %d: %.300s", ans.Status, ans.Body)
	case ans.Header.Get("ETag") != h.etag:
		return fmt.Errorf("its ETag is %s, was %s", ans.Header.Get("ETag"), h.etag)
	case !bytes.Equal(ans.Body, want):
		return errors.New("other bytes")
	}
	return nil
}

// check reads all files, by their links too.
func (k *keeping) check(api *harness.API) {
	k.t.Helper()
	if n := len(api.Files()); n != len(k.files) {
		k.t.Errorf("there are %d files, not %d", n, len(k.files))
	}
	for uid, h := range k.files {
		api.MustHold(uid, h.data)
		if ans := api.Do("GET", h.link, nil, 0); ans.Err != nil || ans.Status != http.StatusOK || ans.Header.Get("ETag") != h.etag || !bytes.Equal(ans.Body, h.data) {
			k.t.Errorf("%s by its link: %d, %v, %d bytes: %.300s", uid, ans.Status, ans.Err, len(ans.Body), ans.Body)
		}
	}
}
