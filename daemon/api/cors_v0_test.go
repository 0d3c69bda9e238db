package api

import (
	"net/http"
	"testing"
)

// TestCORSOfV0 is the matrix over the routes of v0, whose answers have statuses
// of their own. Its signed routes are links; the others are for named origins
// alone, since who calls them may be let in by an address that a page's reader
// has too.
func TestCORSOfV0(t *testing.T) {
	// Said here again, so that the table is not its own judge.
	signed := map[string]bool{"/upload": true, "/upload/multi": true, "/upload/merge": true, "/download": true}
	for name, c := range map[string]struct {
		named []string
		any   bool
	}{
		"off":                  {},
		"one, and links alone": {[]string{aPage}, true},
	} {
		for _, closed := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", with tokens"}[closed], func(t *testing.T) {
				w := startCORS(t, closed, c.any, c.named...)
				for _, row := range v0Rows() {
					for _, origin := range []string{"", "http://" + w.addr, "null", aPage, anotherPage, aPage + ".evil.example"} {
						t.Run(string(row.name)+" from "+origin, func(t *testing.T) {
							w.visitV0(t, row, origin, signed[row.path])
						})
					}
				}
			})
		}
	}
}

// visitV0 sends the request without what it needs, and its preflight.
func (w *corsWorld) visitV0(t *testing.T, row v0Row, origin string, signed bool) {
	header := []string{"Cookie", "session=1"}
	if origin != "" {
		header = append(header, "Origin", origin)
	}
	a := w.do(row.method, v0Prefix+row.path, "", header...)
	w.check(t, a, origin, signed)
	public := row.name == v0Ping || row.name == v0Health
	if foreign := w.secret == "" && origin != "" && origin != "http://"+w.addr && w.wants(origin, signed) == ""; (a.StatusCode == http.StatusOK) != (public && !foreign) {
		t.Errorf("is answered %s %s", a.Status, a.body)
	}
	a = w.do(http.MethodOptions, v0Prefix+row.path+"?uid=7&uid=7&strange=1", "", append(header, "Access-Control-Request-Method", row.method)...)
	w.check(t, a, origin, signed)
	allowed := a.StatusCode == http.StatusNoContent && a.Header.Get("Access-Control-Allow-Methods") == row.method && a.Header.Get("Access-Control-Allow-Headers") != ""
	if want := w.wants(origin, signed) != ""; allowed != want || !want && a.StatusCode/100 == 2 {
		t.Errorf("a preflight is answered %s %v", a.Status, a.Header)
	}
	a = w.do(http.MethodOptions, v0Prefix+row.path, "", append(header, "Access-Control-Request-Method", "DELETE")...)
	if w.check(t, a, origin, false); a.StatusCode/100 == 2 {
		t.Errorf("a preflight of a method that there is not is answered %s", a.Status)
	}
}
