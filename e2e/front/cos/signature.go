package cos

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/osproxy/osproxy/e2e/front"
)

// skew is how far clocks may differ.
const skew = 15 * time.Minute

// Verify is front.Vendor's.
func (v Vendor) Verify(r *http.Request, now time.Time) error {
	auth := r.Header.Get("Authorization")
	if auth == "" {
		return front.Refuse(http.StatusForbidden, "AccessDenied", "Access Denied.")
	}
	given, err := fields(auth)
	if err != nil {
		return err
	}
	if given["q-sign-algorithm"] != "sha1" {
		return front.Refuse(http.StatusBadRequest, "InvalidArgument", "q-sign-algorithm is %q", given["q-sign-algorithm"])
	}
	if given["q-ak"] != v.SecretID {
		return front.Refuse(http.StatusForbidden, "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records.")
	}
	for _, span := range []string{given["q-sign-time"], given["q-key-time"]} {
		if err := checkSpan(span, now); err != nil {
			return err
		}
	}
	headers := strings.Split(given["q-header-list"], ";")
	if !slices.Contains(headers, "host") {
		return front.Refuse(http.StatusForbidden, "AccessDenied", "the signature does not cover the host")
	}
	want := v.signature(r, given)
	if subtle.ConstantTimeCompare([]byte(want), []byte(given["q-signature"])) != 1 {
		return front.Refuse(http.StatusForbidden, "SignatureDoesNotMatch",
			"The Signature you specified is invalid. StringToSign is for %s", strings.ReplaceAll(text(r, given), "\n", `\n`))
	}
	return nil
}

// fields reads the header Authorization: exactly the seven that are documented.
func fields(auth string) (map[string]string, error) {
	names := []string{"q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time", "q-header-list", "q-url-param-list", "q-signature"}
	given := map[string]string{}
	for pair := range strings.SplitSeq(auth, "&") {
		k, value, _ := strings.Cut(pair, "=")
		given[k] = value
	}
	for _, n := range names {
		if _, ok := given[n]; !ok || len(given) != len(names) {
			return nil, front.Refuse(http.StatusBadRequest, "InvalidArgument", "the authorization has not the form that is documented")
		}
	}
	return given, nil
}

func checkSpan(span string, now time.Time) error {
	a, b, _ := strings.Cut(span, ";")
	from, errA := strconv.ParseInt(a, 10, 64)
	to, errB := strconv.ParseInt(b, 10, 64)
	switch {
	case errA != nil || errB != nil || from >= to:
		return front.Refuse(http.StatusBadRequest, "InvalidArgument", "%q is no time of a signature", span)
	case now.Unix() > to:
		return front.Refuse(http.StatusForbidden, "AccessDenied", "Request has expired")
	case now.Add(skew).Unix() < from:
		return front.Refuse(http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.")
	}
	return nil
}

// signature is what the request's should be.
func (v Vendor) signature(r *http.Request, given map[string]string) string {
	signKey := digest(v.SecretKey, given["q-key-time"])
	sum := sha1.Sum([]byte(text(r, given)))
	return digest(signKey, fmt.Sprintf("sha1\n%s\n%x\n", given["q-key-time"], sum))
}

func digest(key, message string) string {
	h := hmac.New(sha1.New, []byte(key))
	h.Write([]byte(message))
	return hex.EncodeToString(h.Sum(nil))
}

// text is what the documents call HttpString.
func text(r *http.Request, given map[string]string) string {
	query := map[string][]string{}
	for k, values := range r.URL.Query() {
		query[strings.ToLower(escape(k))] = values
	}
	headers := map[string][]string{"host": {r.Host}, "content-length": {strconv.FormatInt(r.ContentLength, 10)}}
	for k, values := range r.Header {
		headers[strings.ToLower(escape(k))] = values
	}
	return strings.ToLower(r.Method) + "\n" + r.URL.Path + "\n" +
		listed(given["q-url-param-list"], query) + "\n" + listed(given["q-header-list"], headers) + "\n"
}

// listed writes what a list of the signature names, in order.
func listed(list string, values map[string][]string) string {
	if list == "" {
		return ""
	}
	names := strings.Split(list, ";")
	slices.Sort(names)
	var pairs []string
	for _, n := range slices.Compact(names) {
		all := slices.Sorted(slices.Values(values[n]))
		if len(all) == 0 {
			all = []string{""}
		}
		for _, v := range all {
			pairs = append(pairs, n+"="+escape(v))
		}
	}
	return strings.Join(pairs, "&")
}

// escape is the documents' UrlEncode.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
