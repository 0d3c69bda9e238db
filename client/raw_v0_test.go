package client

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestRawV0: an error of v0 is known by path and form, and says by its status what
// it is. What has another form, or stands elsewhere, is a stranger's.
func TestRawV0(t *testing.T) {
	const envelope, v0 = `{"code":0,"message":"so it is","data":""}`, v0Path + "checkpoint?uid=x"
	for name, c := range map[string]struct {
		target, mediaType, body string
		status                  int
		after                   string
		kind                    protocol.Kind
	}{
		"wrong":               {v0, "application/json; charset=utf-8", envelope, 422, "", protocol.KindBadRequest},
		"not allowed":         {v0, "application/json", envelope, 401, "", protocol.KindUnauthenticated},
		"not there":           {v0, "application/json", envelope, 404, "", protocol.KindNotFound},
		"failed":              {v0, "application/json", envelope, 500, "", protocol.KindInternal},
		"failed for now":      {v0, "application/json", envelope, 500, "1", protocol.KindUnavailable},
		"another status":      {v0, "application/json", envelope, 409, "", ""},
		"elsewhere":           {"/v1/files/7", "application/json", envelope, 404, "", ""},
		"another type":        {v0, "text/plain", envelope, 404, "", ""},
		"another form":        {v0, "application/json", `{"message":"so it is"}`, 404, "", ""},
		"no form":             {v0, "application/json", "{", 404, "", ""},
		"a problem, as of v1": {v0, "application/problem+json", `{"code":"headers_too_large","status":431,"detail":"so it is"}`, 431, "", protocol.KindHeadersTooLarge},
	} {
		cl := rawOn(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.mediaType)
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		resp, err := cl.Do(t.Context(), Raw{Method: http.MethodGet, Target: c.target})
		if err != nil {
			t.Fatal(err)
		}
		err = AnswerError(t.Context(), resp)
		body, rerr := io.ReadAll(resp.Body)
		resp.Body.Close()
		if rerr != nil || string(body) != c.body {
			t.Errorf("%s: %q, %v is left of the body", name, body, rerr)
		}
		if c.kind == "" {
			if strings.Contains(err.Error(), "so it is") || protocol.KindOf(err) == protocol.KindNotFound {
				t.Errorf("%s: a stranger is believed: %v", name, err)
			}
			continue
		}
		if protocol.KindOf(err) != c.kind || !strings.Contains(err.Error(), "so it is") || strings.Contains(err.Error(), "form") {
			t.Errorf("%s: %s, %v", name, protocol.KindOf(err), err)
		}
	}
}
