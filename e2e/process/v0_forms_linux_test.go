//go:build servers

package process

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// TestFormsOfV0KeepMemoryFlat: two large files as forms, which are read as they
// come, and beside them forms that are held, more than there is memory for at
// once.
func TestFormsOfV0KeepMemoryFlat(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir(), "--config", harness.WriteFile(t, "ospd.yaml", []byte(v0Access)))
	api := d.API()
	const large, small = 2, 64
	type link struct{ Single string }
	var signed struct{ Data []struct{ URL link } }
	var paths []string
	for n := range large + small {
		paths = append(paths, fmt.Sprintf("%d.bin", n))
	}
	for begin := 0; begin < len(paths); begin += 50 {
		var some struct{ Data []struct{ URL link } }
		ans := api.JSON(http.MethodPost, "/api/storage/v0/link/upload", map[string]any{"filePath": paths[begin:min(begin+50, len(paths))], "expire": 600})
		if err := json.Unmarshal(ans.Body, &some); err != nil || ans.Status != http.StatusOK {
			t.Fatalf("%d %s", ans.Status, ans.Body)
		}
		signed.Data = append(signed.Data, some.Data...)
	}
	whole, little := harness.Content(7, wholeSize), harness.Content(8, mib)
	put := func(n int, content []byte) {
		const head, tail = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n", "\r\n--edge--\r\n"
		sum := md5.Sum(content)
		body := io.MultiReader(bytes.NewReader([]byte(head)), bytes.NewReader(content), bytes.NewReader([]byte(tail)))
		ans := api.Do(http.MethodPut, signed.Data[n].URL.Single+"&md5="+hex.EncodeToString(sum[:]), body, int64(len(head)+len(content)+len(tail)),
			"Content-Type", "multipart/form-data; boundary=edge")
		if ans.Status != http.StatusOK {
			t.Errorf("%s: %d %s %v", paths[n], ans.Status, ans.Body, ans.Err)
		}
	}
	var all sync.WaitGroup
	for n := range large {
		all.Go(func() { put(n, whole) })
	}
	for n := range small {
		all.Go(func() { put(large+n, little) })
	}
	all.Wait()
	peak := harness.PeakMemory(t, d.PID())
	t.Logf("peak: %.1f MB", float64(peak)/1e6)
	if most := int64(mostMemory + 32*(mib+64<<10)); peak > most { // 32 forms may be held
		t.Errorf("the daemon had %d bytes resident, the target is %d", peak, most)
	}
}
