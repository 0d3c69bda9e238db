package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// presign signs a GET of an object, so that anybody may send it for a time:
// version 4 of the signatures of S3, in the query.
func presign(object url.URL, key, secret, region string, now time.Time, lasts time.Duration) string {
	stamp := now.UTC().Format("20060102T150405Z")
	day := stamp[:8]
	scope := strings.Join([]string{day, region, "s3", "aws4_request"}, "/")
	query := url.Values{
		"X-Amz-Algorithm":     {"AWS4-HMAC-SHA256"},
		"X-Amz-Credential":    {key + "/" + scope},
		"X-Amz-Date":          {stamp},
		"X-Amz-Expires":       {fmt.Sprint(int(lasts.Seconds()))},
		"X-Amz-SignedHeaders": {"host"},
	}.Encode()
	request := strings.Join([]string{"GET", object.EscapedPath(), query, "host:" + object.Host, "", "host", "UNSIGNED-PAYLOAD"}, "\n")
	digest := sha256.Sum256([]byte(request))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(digest[:])}, "\n")

	signature := []byte("AWS4" + secret)
	for _, part := range []string{day, region, "s3", "aws4_request", text} {
		mac := hmac.New(sha256.New, signature)
		mac.Write([]byte(part))
		signature = mac.Sum(nil)
	}
	object.RawQuery = query + "&X-Amz-Signature=" + hex.EncodeToString(signature)
	return object.String()
}
