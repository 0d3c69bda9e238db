package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	stdmultipart "mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// instant is when the content of the range tests was made: with a part of a
// second, which an HTTP date cannot say.
func instant() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 500e6, time.UTC) }

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// fixed is an endpoint that serves b.
func fixed(b []byte, etag string) endpoint {
	return endpoint{serve: func(c *call) error {
		return c.serveContent(representation{
			size: int64(len(b)), etag: etag, modified: instant(), mediaType: "text/x-test", disposition: "attachment",
			writeRange: func(_ context.Context, w io.Writer, off, n int64) error {
				_, err := w.Write(b[off : off+n])
				return err
			},
		})
	}}
}

// TestRangesAsServeContent asks this server and http.ServeContent the same, for
// every range with every condition, and wants the same answers.
func TestRangesAsServeContent(t *testing.T) { rangesAsServeContent(t, start) }

// TestRangesThroughAPeerAsServeContent is the same, asked at another node.
func TestRangesThroughAPeerAsServeContent(t *testing.T) {
	rangesAsServeContent(t, func(t testing.TB, cfg Config, at map[protocol.RouteName]endpoint) *fixture {
		sender, _ := startHanding(t, cfg, at)
		return sender
	})
}

func rangesAsServeContent(t *testing.T, start func(testing.TB, Config, map[protocol.RouteName]endpoint) *fixture) {
	date := func(d time.Duration) string { return instant().Add(d).Format(http.TimeFormat) }
	ranges := []string{
		"", "bytes=", "bytes=,", "bytes=0-0", "bytes=0-", "bytes=1-", "bytes=9-", "bytes=10-", "bytes=0-4", "bytes=5-9", "bytes=5-100",
		"bytes=9-9", "bytes=10-10", "bytes=100-200", "bytes=-1", "bytes=-9", "bytes=-10", "bytes=-11", "bytes=-1000", "bytes=4-3", "bytes=-",
		"bytes=--1", "bytes=x-1", "bytes=1-x", "bytes=1", "bytes=1-2-3", "bytes= 1-2", "bytes=1 - 2", "bytes=\t1-2 ,", "bytes=0-1,3-4", "bytes=0-1, 3-4",
		"bytes=0-0,-1", "bytes=3-4,0-1", "bytes=0-1,1-2", "bytes=0-5,5-9", "bytes=0-,0-,0-", "bytes=0-9,0-9", "bytes=0-1,100-", "bytes=100-,200-", "bytes=0-1,4-3",
		"bytes=0-1,x", "bytes=0-99999999999999999999", "bytes=99999999999999999999-", "bytes=-99999999999999999999", "bytes=0-9223372036854775807", "bytes=9223372036854775807-",
		"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9",
	}
	conditions := [][]string{
		{}, {"If-Match", `"tag"`}, {"If-Match", `"x", "tag"`}, {"If-Match", `W/"tag"`}, {"If-Match", `"x"`}, {"If-Match", "*"}, {"If-Match", "tag"}, {"If-Match", `"x" "tag"`},
		{"If-None-Match", `"tag"`}, {"If-None-Match", `W/"tag"`}, {"If-None-Match", `"x",,"tag"`}, {"If-None-Match", `"x"`}, {"If-None-Match", "*"}, {"If-None-Match", `"unclosed`},
		{"If-Range", `"tag"`}, {"If-Range", `W/"tag"`}, {"If-Range", `"x"`}, {"If-Range", date(0)}, {"If-Range", date(time.Second)}, {"If-Range", date(-time.Second)}, {"If-Range", "rubbish"},
		{"If-Modified-Since", date(0)}, {"If-Modified-Since", date(-time.Second)}, {"If-Modified-Since", date(time.Hour)}, {"If-Modified-Since", "rubbish"},
		{"If-Unmodified-Since", date(0)}, {"If-Unmodified-Since", date(-time.Second)}, {"If-Unmodified-Since", date(time.Hour)}, {"If-Unmodified-Since", "rubbish"},
		{"If-Match", `"x"`, "If-None-Match", `"tag"`}, {"If-Match", `"tag"`, "If-None-Match", `"tag"`}, {"If-Match", `"tag"`, "If-Unmodified-Since", date(-time.Hour)},
		{"If-None-Match", `"x"`, "If-Modified-Since", date(time.Hour)}, {"If-None-Match", `"tag"`, "If-Range", `"x"`}, {"If-Match", `"tag"`, "If-Range", `"tag"`},
	}
	suffix := regexp.MustCompile(`[=,]-\d`)
	for _, size := range []int{0, 1, 2, 10, 1000} {
		content := noise(size)
		f := start(t, Config{}, map[protocol.RouteName]endpoint{
			protocol.RouteGetContent: fixed(content, `"tag"`), protocol.RouteHeadContent: fixed(content, `"tag"`),
		})
		ours := &http.Client{}
		defer ours.CloseIdleConnections()
		for _, rng := range ranges {
			for _, cond := range conditions {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					if method == http.MethodHead && rng != "" || size == 0 && suffix.MatchString(rng) {
						continue // TestRangesOtherThanServeContent
					}
					req := httptest.NewRequestWithContext(t.Context(), method, "http://"+f.addr+"/v1/files/1/content", nil)
					req.RequestURI = ""
					if rng != "" {
						req.Header.Set("Range", rng)
					}
					for i := 0; i < len(cond); i += 2 {
						req.Header.Set(cond[i], cond[i+1])
					}
					want := httptest.NewRecorder()
					want.Header().Set("ETag", `"tag"`)
					want.Header().Set("Content-Type", "text/x-test")
					http.ServeContent(want, req, "", instant(), bytes.NewReader(content))
					got, err := ours.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(got.Body)
					got.Body.Close()
					if diff := compare(answer{got, body, err}, want.Result(), method); diff != "" {
						t.Errorf("%s of %d bytes, Range %q, %q: %s", method, size, rng, cond, diff)
					}
				}
			}
		}
	}
}

// compare says how an answer differs from the oracle's.
func compare(got answer, want *http.Response, method string) string {
	wantBody, err := io.ReadAll(want.Body)
	if err != nil || got.err != nil {
		return fmt.Sprintf("reading: %v, %v", err, got.err)
	}
	if got.StatusCode != want.StatusCode {
		return fmt.Sprintf("status %d, want %d", got.StatusCode, want.StatusCode)
	}
	if cr := want.Header.Get("Content-Range"); cr != "" && got.Header.Get("Content-Range") != cr {
		return fmt.Sprintf("Content-Range %q, want %q", got.Header.Get("Content-Range"), cr)
	}
	switch got.StatusCode {
	case http.StatusNotModified:
		if got.Header.Get("ETag") != want.Header.Get("ETag") || len(got.body) > 0 {
			return fmt.Sprintf("ETag %q, body %q", got.Header.Get("ETag"), got.body)
		}
		return ""
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		if method != http.MethodHead && got.Header.Get("Content-Type") != "application/problem+json" {
			return "no problem: " + string(got.body)
		}
		return ""
	}
	for _, name := range []string{"ETag", "Last-Modified", "Accept-Ranges"} {
		if got.Header.Get(name) != want.Header.Get(name) {
			return fmt.Sprintf("%s %q, want %q", name, got.Header.Get(name), want.Header.Get(name))
		}
	}
	gotType, gotParams, _ := mime.ParseMediaType(got.Header.Get("Content-Type"))
	wantType, wantParams, _ := mime.ParseMediaType(want.Header.Get("Content-Type"))
	if gotType != wantType {
		return fmt.Sprintf("Content-Type %q, want %q", gotType, wantType)
	}
	if gotType == "multipart/byteranges" {
		g, w := parts(got.body, gotParams["boundary"]), parts(wantBody, wantParams["boundary"])
		if g != w {
			return fmt.Sprintf("parts\n%s\nwant\n%s", g, w)
		}
		return ""
	}
	if got.ContentLength != want.ContentLength || !bytes.Equal(got.body, wantBody) {
		return fmt.Sprintf("%d bytes %q, want %d bytes %q", got.ContentLength, got.body, want.ContentLength, wantBody)
	}
	return ""
}

// parts prints a multipart body without its boundary.
func parts(body []byte, boundary string) string {
	var b strings.Builder
	r := stdmultipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := r.NextPart()
		if err != nil {
			fmt.Fprintf(&b, "%v", err)
			return b.String()
		}
		content, err := io.ReadAll(p)
		fmt.Fprintf(&b, "%v %q %v\n", p.Header, content, err)
	}
}

// TestRangesOtherThanServeContent are the answers in which net/http and RFC
// 9110 differ, or an empty range would be promised.
func TestRangesOtherThanServeContent(t *testing.T) {
	for _, c := range []struct {
		method string
		size   int
		rng    string
		status int
		cr     string
	}{
		// A server must ignore a unit it does not know, and Range but on GET;
		// units are compared without case.
		{"GET", 10, "items=0-1", 200, ""},
		{"GET", 10, "bytes", 200, ""},
		{"GET", 10, "bytes =0-1", 200, ""},
		{"GET", 10, "BYTES=0-1", 206, "bytes 0-1/10"},
		{"HEAD", 10, "bytes=0-1", 200, ""},
		{"HEAD", 10, "bytes=20-", 200, ""},
		// No range is empty: -0 has no byte, and an empty file is sent whole.
		{"GET", 10, "bytes=-0", 416, "bytes */10"},
		{"GET", 10, "bytes=0-1,-0", 206, "bytes 0-1/10"},
		{"GET", 0, "bytes=-5", 200, ""},
		{"GET", 0, "bytes=-0", 200, ""},
		// Positions are digits.
		{"GET", 10, "bytes=+1-2", 416, "bytes */10"},
		{"GET", 10, "bytes=-+2", 416, "bytes */10"},
		// Every 416 says the size.
		{"GET", 10, "bytes=4-3", 416, "bytes */10"},
		// More ranges than maxRanges are not worth it.
		{"GET", 1000, "bytes=0-0" + strings.Repeat(",2-2", maxRanges), 200, ""},
	} {
		content := noise(c.size)
		f := start(t, Config{}, map[protocol.RouteName]endpoint{
			protocol.RouteGetContent: fixed(content, `"tag"`), protocol.RouteHeadContent: fixed(content, `"tag"`),
		})
		a := f.do(c.method, "/v1/files/1/content", "", "Range", c.rng)
		if a.StatusCode != c.status || a.Header.Get("Content-Range") != c.cr {
			t.Errorf("%s of %d bytes, Range %q: %d and %q, want %d and %q", c.method, c.size, c.rng, a.StatusCode, a.Header.Get("Content-Range"), c.status, c.cr)
		}
	}
}
