package cli

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTraceTellsOfEveryRequestOnOneLine(t *testing.T) {
	tests := []struct {
		name string
		resp *http.Response
		err  error
		want string
	}{
		{"answer", &http.Response{StatusCode: 206, Header: http.Header{protocol.HeaderRequestID: {"r\x1b1"}}}, nil,
			`osp: GET /v1/x: bytes=0-9: 206, request r\x1b1 after 0s`},
		{"no answer", nil, errors.New("cut\noff"), `osp: GET /v1/x: bytes=0-9: cut\noff after 0s`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var said []string
			tr := &trace{next: roundTrip(func(*http.Request) (*http.Response, error) { return tt.resp, tt.err }),
				note: func(s string) { said = append(said, s) }, now: func() time.Time { return time.Time{} }}
			req := httptest.NewRequest(http.MethodGet, "http://h/v1/x?token=secret", nil)
			req.Header.Set("Range", "bytes=0-9")
			req.Header.Set("Authorization", "Bearer secret")
			resp, err := tr.RoundTrip(req)
			if resp != tt.resp || !errors.Is(err, tt.err) {
				t.Errorf("passed on %v, %v", resp, err)
			}
			if len(said) != 1 || said[0] != tt.want || strings.Contains(said[0], "secret") {
				t.Errorf("said %q, want %q", said, tt.want)
			}
		})
	}
}
