package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// TestOfArgument: what the daemon numbers within one of several requests is the
// argument of that number, not of the first thousand.
func TestOfArgument(t *testing.T) {
	of := func(message string) error { return &protocol.Error{Kind: protocol.KindBadName, Message: message} }
	args := []string{"c", "d"}
	for _, c := range []struct {
		message string
		before  int
		want    string
	}{
		{"links[1]: it is bad; none was signed", 0, "d: it is bad; none was signed"},
		{"links[0]: it is bad; none was signed", 2000, "c: it is bad; none was signed, but the 2000 before, which are printed"},
		{"links[2]: it is bad", 0, "links[2]: it is bad"},
		{"links[-1]: it is bad", 0, "links[-1]: it is bad"},
		{"links[x]: it is bad", 0, "links[x]: it is bad"},
		{"1]: it is bad", 0, "1]: it is bad"},
		{"it is bad", 0, "it is bad"},
	} {
		err := ofArgument(of(c.message), args, c.before)
		if e, ok := errors.AsType[*protocol.Error](err); !ok || e.Message != c.want || e.Kind != protocol.KindBadName {
			t.Errorf("%s: %v, want %s", c.message, err, c.want)
		}
	}
	if other := errors.New("links[0]: x"); ofArgument(other, args, 0) != other {
		t.Error("another error is changed")
	}
}

// signing is a daemon that answers with links, and what it was asked for.
func signing(t *testing.T, asked *[]string) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask struct {
			Links []map[string]any `json:"links"`
		}
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || r.URL.Path != "/v1/links" {
			http.Error(w, "not what this is for", http.StatusNotFound)
			return
		}
		var signed protocol.LinkList
		for _, l := range ask.Links {
			for name, value := range l {
				if value == nil {
					delete(l, name)
				}
			}
			*asked = append(*asked, string(marshal(l)))
			signed.Links = append(signed.Links, protocol.Link{URL: "http://h/l/x", Token: "x", UID: 7})
		}
		_ = json.NewEncoder(w).Encode(signed)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestLinksAskedFor: each flag goes into what is asked for, and nothing else
// does.
func TestLinksAskedFor(t *testing.T) {
	for args, want := range map[string]string{
		"7":                                 `{"action":"get","expires_in":900,"uid":"7"}`,
		"7 8 --expires 1h":                  `{"action":"get","expires_in":3600,"uid":"7"} {"action":"get","expires_in":3600,"uid":"8"}`,
		"7 --expires 2026-11-23T00:00:00Z":  `{"action":"get","expires_at":"2026-11-23T00:00:00.000Z","uid":"7"}`,
		"7 --not-before 5m":                 `{"action":"get","expires_in":900,"not_before":"2026-11-22T10:05:00.000Z","uid":"7"}`,
		"7 --inline":                        `{"action":"get","disposition":"inline","expires_in":900,"uid":"7"}`,
		"7 --name x.txt":                    `{"action":"get","expires_in":900,"name":"x.txt","uid":"7"}`,
		"7 --media-type text/plain":         `{"action":"get","expires_in":900,"media_type":"text/plain","uid":"7"}`,
		"--upload in/b":                     `{"action":"put","expires_in":900,"name":"in/b"}`,
		"--upload b --max-size 0":           `{"action":"put","expires_in":900,"max_size":0,"name":"b"}`,
		"--upload b --media-type image/png": `{"action":"put","expires_in":900,"media_type":"image/png","name":"b"}`,
		"--upload b c --not-before 5m":      `{"action":"put","expires_in":900,"name":"b","not_before":"2026-11-22T10:05:00.000Z"} {"action":"put","expires_in":900,"name":"c","not_before":"2026-11-22T10:05:00.000Z"}`,
		"--upload b --expires 7d --json":    `{"action":"put","expires_in":604800,"name":"b"}`,
	} {
		var asked []string
		t.Setenv("OSP_HOME", t.TempDir())
		var out, errs bytes.Buffer
		s := newSession(strings.NewReader(""), &out, &errs, environment{"OSP_SERVER": signing(t, &asked), "NO_PROXY": "*"})
		s.now = func() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC) }
		code := s.run(t.Context(), append([]string{"link"}, strings.Fields(args)...))
		if got := strings.Join(asked, " "); code != 0 || got != want {
			t.Errorf("%s asks for %s, want %s (exit %d, %s)", args, got, want, code, errs.String())
		}
	}
}
