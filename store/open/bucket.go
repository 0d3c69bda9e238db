package open

import (
	"strings"

	"github.com/osproxy/osproxy/store/cos"
)

// BucketOf is what the objects lie in, whatever address it is reached at: the
// bucket's name, and the prefix behind it. "" of a local store. Two services may
// each have a bucket of one name, which the store's mark tells apart.
func (c Config) BucketOf() string {
	bucket := c.Bucket
	switch c.Type {
	case "local":
		return ""
	case "cos":
		// FILES-1250000000.cos.REGION.myqcloud.com, whatever is behind the name.
		bucket = c.URL
		if u, err := cos.ParseURL(c.URL); err == nil {
			bucket, _, _ = strings.Cut(u.Hostname(), ".")
		}
	}
	if prefix := strings.Trim(c.Prefix, "/"); prefix != "" {
		return bucket + "/" + prefix
	}
	return bucket
}
