package front

import (
	"context"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"sync"
)

var ecma = crc64.MakeTable(crc64.ECMA)

// checksum is an object's CRC-64, as long as its ETag is this.
type checksum struct {
	etag string
	sum  uint64
}

type checksums struct {
	mu    sync.Mutex
	known map[string]checksum
}

func (c *checksums) set(key, etag string, sum uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[key] = checksum{etag, sum}
}

func (c *checksums) get(key, etag string) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.known[key]
	return known.sum, known.etag == etag && etag != ""
}

// checksum is the object's CRC-64, of the bytes the S3 server has where they did
// not pass through here.
func (f *Front) checksum(ctx context.Context, key, etag string) (uint64, error) {
	if sum, ok := f.sums.get(key, etag); ok {
		return sum, nil
	}
	resp, err := f.do(ctx, ask{method: http.MethodGet, key: key, header: http.Header{"If-Match": {etag}}})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	sum := crc64.New(ecma)
	if _, err := io.Copy(sum, resp.Body); err != nil {
		return 0, fmt.Errorf("read %s for its checksum: %w", key, err)
	}
	f.sums.set(key, etag, sum.Sum64())
	return sum.Sum64(), nil
}

// setSum tells the caller a checksum.
func (f *Front) setSum(h http.Header, sum uint64) {
	h.Set(f.Vendor.Prefix()+"hash-crc64ecma", fmt.Sprint(sum))
}
