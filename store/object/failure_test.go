package object_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

func TestWhatAnswersMean(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   error // nil: none
	}{
		{404, "NoSuchKey", store.ErrNotFound},
		{404, "", store.ErrNotFound},
		{404, "Not Found", store.ErrNotFound},
		{404, "NoSuchBucket", store.ErrNoBucket},
		{404, "NoSuchUpload", store.ErrNotBegun},
		{404, "XAdminUserNotFound", store.ErrDenied}, // versitygw
		{404, "NoSuchLifecycleConfiguration", nil},
		{412, "PreconditionFailed", store.ErrExists},
		{412, "", store.ErrExists},
		{409, "FileAlreadyExists", store.ErrExists},
		{409, "ConditionalRequestConflict", nil},
		{403, "AccessDenied", store.ErrDenied},
		{403, "InvalidAccessKeyId", store.ErrDenied},
		{403, "SignatureDoesNotMatch", store.ErrDenied},
		{403, "SomethingNew", store.ErrDenied},
		{403, "", store.ErrDenied},
		{403, "RequestTimeTooSkewed", store.ErrClock},
		{400, "AuthorizationHeaderMalformed", store.ErrRegion},
		{301, "", store.ErrRegion},
		{416, "", store.ErrRange},
		{416, "InvalidRange", store.ErrRange},
		{400, "BadDigest", store.ErrDamaged},
		{400, "XAmzContentChecksumMismatch", store.ErrDamaged},
		{400, "EntityTooSmall", store.ErrPieces},
		{507, "XMinioStorageFull", store.ErrFull},
		{501, "NotImplemented", store.ErrUnsupported},
		{400, "InvalidArgument", nil},
		{500, "InternalError", nil},
		{502, "", nil},
	} {
		if got := object.Meaning(c.status, c.code); !errors.Is(got, c.want) {
			t.Errorf("%d %s means %v, want %v", c.status, c.code, got, c.want)
		}
		err := object.NewFailure(c.status, c.code, "text", "17", 0)
		var f *object.Failure
		var busy *store.BusyError
		if !errors.As(err, &f) || f.Status != c.status || errors.As(err, &busy) || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%d %s: %v", c.status, c.code, err)
		}
	}
	for _, c := range []struct {
		status int
		code   string
	}{{503, "SlowDown"}, {503, ""}, {429, ""}, {200, "SlowDown"}, {400, "ThrottlingException"}, {400, "QpsLimitExceeded"}, {403, "ThrottlingException"}} {
		var busy *store.BusyError
		if err := object.NewFailure(c.status, c.code, "", "", 7*time.Second); !errors.As(err, &busy) || busy.After != 7*time.Second || !store.MayPass(err) {
			t.Errorf("%d %s: %v", c.status, c.code, err)
		}
	}
}

func TestExplanationsNameTheSetting(t *testing.T) {
	s := object.Settings{Endpoint: "endpoint", Region: "region", Bucket: "bucket", KeyID: "access_key_id", Secret: "secret_access_key"}
	for _, c := range []struct {
		err  error
		look string
	}{
		{object.NewFailure(403, "InvalidAccessKeyId", "", "", 0), "look at access_key_id"},
		{object.NewFailure(403, "SignatureDoesNotMatch", "", "", 0), "look at secret_access_key"},
		{object.NewFailure(403, "", "", "", 0), "look at access_key_id and secret_access_key"},
		{object.NewFailure(404, "NoSuchBucket", "", "", 0), "look at bucket"},
		{object.NewFailure(301, "PermanentRedirect", "", "", 0), "look at region"},
		{object.NewFailure(403, "RequestTimeTooSkewed", "", "", 0), "clock"},
		{object.NewFailure(502, "", "", "", 0), "look at endpoint"},
		{errors.New("connection refused"), "look at endpoint"},
		{context.Canceled, ""},
	} {
		got := s.Explain(c.err)
		if !errors.Is(got, c.err) || !strings.Contains(got.Error(), c.look) {
			t.Errorf("%v: %v", c.err, got)
		}
	}
	if s.Explain(nil) != nil {
		t.Error("nothing is explained")
	}
}

func TestUnreached(t *testing.T) {
	reset := errors.New("connection reset")
	err := object.Unreached(t.Context(), &url.Error{Op: "Get", URL: "http://user:secret@host/", Err: reset})
	if !errors.Is(err, reset) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// Some SDK's errors hide what they are for.
	if err := object.Unreached(ctx, errors.New("request failed")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestAnswersAreWatched(t *testing.T) {
	date := time.Now().Add(-20 * time.Minute)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
		w.Header().Set("Retry-After", "12")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	base := object.NewTransport()
	defer base.CloseIdleConnections()
	client := &http.Client{Transport: object.Watched{Base: base}}
	ctx, answer := object.Watch(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if answer.Status != 503 || answer.RetryAfter() != 12*time.Second {
		t.Errorf("%+v", answer)
	}
	if err := object.CheckClock(answer); !errors.Is(err, store.ErrClock) || !strings.Contains(err.Error(), "ahead of") {
		t.Errorf("20 minutes ahead: %v", err)
	}
	if err := object.CheckClock(&object.Answer{Skew: -time.Hour}); !errors.Is(err, store.ErrClock) || !strings.Contains(err.Error(), "behind") {
		t.Errorf("an hour behind: %v", err)
	}
	if err := object.CheckClock(&object.Answer{Skew: time.Minute}); err != nil {
		t.Errorf("a minute ahead: %v", err)
	}
}

// TestWhoRefuses: a refusal is the storage's own if it has its document or, in
// an answer to a HEAD, its id of the request.
func TestWhoRefuses(t *testing.T) {
	const document = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code></Error>"
	for _, c := range []struct {
		method   string
		status   int
		id, text string
		stranger bool
	}{
		{"GET", 404, "", document, false},
		{"GET", 404, "17", document, false},
		{"GET", 404, "17", "", true},
		{"GET", 404, "17", "<html>", true},
		{"GET", 404, "17", "<Error></Error>", true},
		{"DELETE", 404, "", "<html></html>", true},
		{"PUT", 501, "", "<html></html>", true},
		{"HEAD", 404, "17", "", false},
		{"HEAD", 403, "", "", true},
		{"GET", 503, "", "<html></html>", false},
		{"GET", 429, "", "", false},
		{"GET", 502, "", "", false},
		{"GET", 200, "", "", false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.id != "" {
				w.Header().Set("X-Id", c.id)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.text)
		}))
		base := object.NewTransport()
		req, err := http.NewRequestWithContext(t.Context(), c.method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := object.Watched{Base: base, RequestID: "X-Id"}.RoundTrip(req)
		var stranger *object.Stranger
		if errors.As(err, &stranger) != c.stranger || c.stranger && stranger.Status != c.status {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil {
			if text, err := io.ReadAll(resp.Body); err != nil || c.method != "HEAD" && string(text) != c.text {
				t.Errorf("%+v: the body became %q, %v", c, text, err)
			}
			resp.Body.Close()
		}
		base.CloseIdleConnections()
		server.Close()
	}
}
