package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// ending has the daemon sign links for so long at most, from its next request on.
func (o *ospd) ending(most time.Duration) {
	o.t.Helper()
	minter, err := meta.NewMinter(o.db, 0, time.Now)
	if err != nil {
		o.t.Fatal(err)
	}
	o.cfg.Links = link.New(link.Config{Records: o.db, Minter: minter, MaxExpiry: most})
}

// TestV0LinkEnds: the expiry that is asked for is cut to what there may be, for
// every address that is signed, and each is good for as long as it says.
func TestV0LinkEnds(t *testing.T) {
	for limit, asks := range map[time.Duration]map[string]int{
		0:                       {"1": 1, "86400": 86400, "604800": 604800, "604801": 604800, "99999999999999999999": 604800, "1e3": 1000},
		time.Hour:               {"3599": 3599, "3600": 3600, "3601": 3600, "604800": 3600, "99999999999999999999": 3600},
		1500 * time.Millisecond: {"1": 1, "2": 1},
	} {
		o := startOspd(t)
		if limit > 0 {
			o.ending(limit)
		}
		alice := o.as("alice")
		f := alice.upload("a.txt", []byte("abc"))
		for asked, want := range asks {
			ask := fmt.Sprintf(`{"uid": ["%s"], "filePath": ["a.txt"], "expire": %s, "more": 1}`, f.UID, asked)
			get := v0Into[[]v0DownloadLink](t, alice.do(http.MethodPost, v0Prefix+"/link/download", ask))[0]
			put := v0Into[[]v0UploadLinks](t, alice.do(http.MethodPost, v0Prefix+"/link/upload", ask))[0].URL
			for _, l := range []string{get.URL, put.Single, put.Multi.Upload, put.Multi.Merge} {
				o.endsIn(queryOf(t, l), time.Duration(want)*time.Second)
			}
			if t.Failed() {
				t.Fatalf("of at most %s, %s were asked for", limit, asked)
			}
		}
	}
}

// endsIn expects that a link says it is good for so long from now on, and that
// what was signed says so too.
func (o *ospd) endsIn(q url.Values, want time.Duration) {
	o.t.Helper()
	date, err := time.Parse(v0Date, q.Get("date"))
	if age := time.Since(date); err != nil || age < 0 || age > time.Minute || q.Get("expire") != fmt.Sprint(int(want/time.Second)) {
		o.t.Errorf("it says %v, %v; want %s", q, err, want)
	}
	action := protocol.LinkPut
	if q.Has("name") {
		action = protocol.LinkGet
	}
	// One of a second may have ended by now.
	if want < time.Minute {
		return
	}
	g, err := o.cfg.Links.Open(o.t.Context(), q.Get("signature"), action)
	if err != nil || !g.Expires.Equal(date.Add(want)) {
		o.t.Errorf("signed until %s, %v; it says from %s for %s", g.Expires, err, date, want)
	}
}

// TestV0LinkEndsAreNumbers: what is no number of seconds from 1 is refused.
func TestV0LinkEndsAreNumbers(t *testing.T) {
	alice := startOspd(t).as("alice")
	for _, bad := range []string{"0", "-1", "1.5", `"60"`, "null", "true", "-99999999999999999999", "1e999"} {
		for path, body := range map[string]string{"/link/upload": `{"filePath": ["a.txt"], "expire": ` + bad + `}`, "/link/download": `{"uid": [], "expire": ` + bad + `}`} {
			message, _ := alice.do(http.MethodPost, v0Prefix+path, body).v0(t, http.StatusUnprocessableEntity)
			if t.Failed() || !strings.HasPrefix(message, "expire is not a number of seconds") {
				t.Fatalf("%s %s: %s", path, body, message)
			}
		}
	}
}
