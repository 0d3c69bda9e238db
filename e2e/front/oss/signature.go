package oss

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/osproxy/osproxy/e2e/front"
)

const (
	algorithm = "OSS4-HMAC-SHA256"
	unsigned  = "UNSIGNED-PAYLOAD"
	// skew is how far the time of a request may be from ours.
	skew = 15 * time.Minute
)

// signature is what a request says of who signed it.
type signature struct {
	id, day, region string
	additional      []string
	sum             string
}

// parseAuthorization reads an Authorization header as OSS documents it:
// OSS4-HMAC-SHA256 Credential=id/day/region/oss/aliyun_v4_request,AdditionalHeaders=a;b,Signature=hex.
func parseAuthorization(text string) (signature, error) {
	kind, fields, _ := strings.Cut(text, " ")
	switch {
	case text == "":
		return signature{}, front.Refuse(http.StatusForbidden, "AccessDenied", "Anonymous access is forbidden for this operation.")
	case kind == "OSS" || kind == "OSS2":
		return signature{}, front.Refuse(http.StatusForbidden, "AccessDenied", "The signature version %s is not supported any more.", kind)
	case kind != algorithm:
		return signature{}, front.Refuse(http.StatusBadRequest, "InvalidArgument", "Authorization header is invalid.")
	}
	malformed := front.Refuse(http.StatusBadRequest, "InvalidArgument", "The format of the Authorization header is invalid.")
	var s signature
	seen := map[string]bool{}
	for field := range strings.SplitSeq(fields, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(field), "=")
		if !ok || seen[name] {
			return s, malformed
		}
		seen[name] = true
		switch name {
		case "Credential":
			part := strings.Split(value, "/")
			if len(part) != 5 || part[3] != "oss" || part[4] != "aliyun_v4_request" {
				return s, front.Refuse(http.StatusBadRequest, "InvalidArgument", "The Credential in the Authorization header is invalid.")
			}
			s.id, s.day, s.region = part[0], part[1], part[2]
		case "AdditionalHeaders":
			s.additional = strings.Split(value, ";")
		case "Signature":
			s.sum = value
		default:
			return s, malformed
		}
	}
	if !seen["Credential"] || !seen["Signature"] || !slices.IsSorted(s.additional) {
		return s, malformed
	}
	return s, nil
}

// requestTime is when the request was signed, and as it writes that.
func requestTime(r *http.Request) (time.Time, string, bool) {
	if text := r.Header.Get("X-Oss-Date"); text != "" {
		t, err := time.Parse("20060102T150405Z", text)
		return t, text, err == nil
	}
	text := r.Header.Get("Date")
	t, err := time.Parse(http.TimeFormat, text)
	return t, text, err == nil
}

// Verify is front.Vendor's.
func (v Vendor) Verify(r *http.Request, now time.Time) error {
	s, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	bucket, object := v.split(r)
	t, date, ok := requestTime(r)
	switch {
	case !ok:
		return front.Refuse(http.StatusForbidden, "AccessDenied", "OSS authentication requires a valid Date.")
	case s.id != v.AccessKeyID:
		return front.Refuse(http.StatusForbidden, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records.")
	case s.region != v.Region:
		return front.Refuse(http.StatusBadRequest, "InvalidArgument", "Invalid signing region in Authorization header.")
	case s.day != t.Format("20060102"):
		return front.Refuse(http.StatusBadRequest, "InvalidArgument", "The signing date in the Authorization header is not that of the request.")
	case r.Header.Get("X-Oss-Content-Sha256") != unsigned:
		return front.Refuse(http.StatusBadRequest, "InvalidArgument", "x-oss-content-sha256 must be %s.", unsigned)
	}
	if d := now.Sub(t); d > skew || d < -skew {
		return front.Refuse(http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
	}
	want := sum(v.AccessKeySecret, s.day, s.region, date, canonicalRequest(r, bucket, object, s.additional))
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.sum)) != 1 {
		return front.Refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.")
	}
	return nil
}

// canonicalRequest is the text that is signed: method, resource, query, headers,
// the names of the headers that are signed besides, and the hash of the payload.
func canonicalRequest(r *http.Request, bucket, object string, additional []string) string {
	resource := "/"
	if bucket != "" {
		resource += bucket + "/" + strings.ReplaceAll(escape(object), "%2F", "/")
	}
	return strings.Join([]string{
		r.Method, resource, canonicalQuery(r.URL.RawQuery), canonicalHeaders(r, additional),
		strings.Join(additional, ";"), r.Header.Get("X-Oss-Content-Sha256"),
	}, "\n")
}

// escape is the percent-encoding of RFC 3986.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// canonicalQuery sorts the parameters by their encoded names. One without a
// value is its name alone.
func canonicalQuery(raw string) string {
	var names []string
	values := map[string]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = escape(unescape(name)), escape(unescape(value))
		names = append(names, name)
		values[name] = value
	}
	slices.Sort(names)
	for i, name := range names {
		if v := values[name]; v != "" {
			names[i] = name + "=" + v
		}
	}
	return strings.Join(names, "&")
}

// unescape decodes what a URL holds; what is no encoding stays as it is.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// canonicalHeaders are those that are always signed and the additional ones,
// by name: x-oss-copy-source comes before x-oss-copy-source-range, which it
// would not if lines were sorted.
func canonicalHeaders(r *http.Request, additional []string) string {
	var names []string
	for name := range r.Header {
		name = strings.ToLower(name)
		if name == "content-type" || name == "content-md5" || strings.HasPrefix(name, "x-oss-") {
			names = append(names, name)
		}
	}
	for _, name := range additional {
		if !slices.Contains(names, name) && (r.Header.Get(name) != "" || name == "host" || name == "content-length") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name + ":" + strings.TrimSpace(headerValue(r, name)) + "\n")
	}
	return b.String()
}

// headerValue finds a header where net/http keeps it.
func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		if v := r.Header.Get(name); v != "" {
			return v
		}
		return strconv.FormatInt(r.ContentLength, 10)
	}
	return r.Header.Get(name)
}

// sum signs the canonical request.
func sum(secret, day, region, date, canonical string) string {
	key := []byte("aliyun_v4" + secret)
	for _, part := range []string{day, region, "oss", "aliyun_v4_request"} {
		key = mac(key, part)
	}
	hash := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{algorithm, date, day + "/" + region + "/oss/aliyun_v4_request", hex.EncodeToString(hash[:])}, "\n")
	return hex.EncodeToString(mac(key, text))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
