package oss_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/oss"
)

// meanings are all that an error may be taken for.
var meanings = []error{
	store.ErrNotFound, store.ErrExists, store.ErrRange, store.ErrDamaged, store.ErrNotBegun, store.ErrDenied, store.ErrNoBucket,
	store.ErrRegion, store.ErrClock, store.ErrUnsupported,
}

func TestWhatErrorsMean(t *testing.T) {
	for _, c := range []struct {
		status     int
		code, more string
		want       error
		says       string
	}{
		{404, "NoSuchKey", "", store.ErrNotFound, ""},
		{404, "NoSuchBucket", "", store.ErrNoBucket, "check bucket"},
		{404, "NoSuchUpload", "", store.ErrNotBegun, ""},
		{404, "NoSuchSomething", "", nil, "NoSuchSomething"},
		{409, "FileAlreadyExists", "", store.ErrExists, ""},
		{416, "InvalidRange", "", store.ErrRange, ""},
		{403, "AccessDenied", "", store.ErrDenied, "access_key_id"},
		{403, "InvalidAccessKeyId", "", store.ErrDenied, "check access_key_id"},
		{403, "SignatureDoesNotMatch", "<StringToSign>x</StringToSign>", store.ErrDenied, "check access_key_secret"},
		{403, "UserDisable", "", store.ErrDenied, "UserDisable"},
		{403, "RequestTimeTooSkewed", "", store.ErrClock, "clock"},
		{403, "AccessDenied", "<Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint>", store.ErrRegion, "oss-cn-beijing.aliyuncs.com; check endpoint"},
		{400, "InvalidArgument", "<EC>0002-00000228</EC>", store.ErrRegion, `"cn-hangzhou"; check region`},
		{400, "InvalidArgument", "", nil, "InvalidArgument"},
		{400, "InvalidDigest", "", store.ErrDamaged, ""},
		{412, "PreconditionFailed", "", nil, "PreconditionFailed"},
		{500, "InternalError", "", nil, "InternalError"},
		{501, "NotImplemented", "", store.ErrUnsupported, ""},
	} {
		t.Run(fmt.Sprint(c.status, " ", c.code, c.more), func(t *testing.T) {
			s := serve(t, failing(c.status, c.code, c.more))
			for _, call := range []string{"put", "get", "get range", "stat", "list", "begin to compose"} {
				err := calls[call](t.Context(), s.Backend)
				if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), secret) {
					t.Errorf("%s: %v", call, err)
				}
				for _, m := range meanings {
					if errors.Is(err, m) != (m == c.want) {
						t.Errorf("%s: %v, want %v", call, err, c.want)
					}
				}
			}
		})
	}
}

func TestAnswersWithoutADocument(t *testing.T) {
	for status, want := range map[int]error{404: store.ErrNotFound, 403: store.ErrDenied, 500: nil, 400: nil, 204: nil} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(status)
				return
			}
			fmt.Fprint(w, "<ListBucketResult></ListBucketResult>")
		})
		_, err := s.Stat(t.Context(), key)
		if err == nil || want != nil && !errors.Is(err, want) || want == nil && errors.Is(err, store.ErrNotFound) {
			t.Errorf("stat with status %d: %v, want %v", status, err, want)
		}
	}
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, "<html>a proxy is sorry</html")
	})
	if err := s.Delete(t.Context(), key); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("delete: %v", err)
	}
	// A success that is none of those documented.
	s = serve(t, func(http.ResponseWriter, *http.Request) {})
	if err := s.Delete(t.Context(), key); err == nil || !strings.Contains(err.Error(), "200") {
		t.Errorf("delete: %v", err)
	}
}

func TestPatienceIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		status              int
		code, header, value string
		want                time.Duration
	}{
		{503, "ServiceUnavailable", "X-Oss-Qos-Delay-Time", "187", 187 * time.Millisecond},
		{503, "TotalQpsLimitExceeded", "", "", 0},
		{503, "TotalQpsLimitExceeded", "X-Oss-Qos-Delay-Time", "soon", 0},
		{429, "QpsLimitExceeded", "Retry-After", "3", 3 * time.Second},
		{400, "ActiveRequestLimitExceeded", "", "", 0},
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.header != "" {
				w.Header().Set(c.header, c.value)
			}
			failing(c.status, c.code, "")(w, r)
		})
		for _, call := range []string{"put", "get", "stat", "delete", "list", "compose"} {
			var busy *store.BusyError
			if err := calls[call](t.Context(), s.Backend); !errors.As(err, &busy) || busy.After != c.want {
				t.Errorf("%s with %d %s: %v, want patience of %v", call, c.status, c.code, err, c.want)
			}
		}
	}
}

func TestNewChecksNames(t *testing.T) {
	for what, c := range map[string]oss.Config{
		"bucket":   {Endpoint: "https://oss-cn-hangzhou.aliyuncs.com", Bucket: "No_Bucket"},
		"endpoint": {Endpoint: "https://a b", Bucket: "files"},
		"prefix":   {Endpoint: "https://oss-cn-hangzhou.aliyuncs.com", Bucket: "files", Prefix: "//"},
	} {
		if _, err := oss.New(c); err == nil || !strings.HasPrefix(err.Error(), what+": ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
