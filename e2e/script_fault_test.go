package e2e

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/osproxy/osproxy/protocol"
)

type faultKey struct{}

// fault is a proxy in front of a script's daemon that does something to the
// requests it was made for, and hands all others on.
type fault struct {
	server *httptest.Server
	// held is closed when the first request is held.
	held chan struct{}

	method string
	path   *regexp.Regexp
	action string
	file   string

	mu   sync.Mutex
	skip int
	once sync.Once
	quit chan struct{}
}

// cmdFault is `fault METHOD PATH ACTION [SKIP]`, PATH being a regular
// expression and SKIP how many of its requests pass first. ACTION is
//
//	a kind of error   the answer, without asking the daemon
//	hang              no answer ever comes
//	drop              the connection is cut
//	lose              the daemon does it, and the answer is cut, once
//	append:FILE       the file grows by a byte, once, before the request goes on
//
// `fault off` takes the proxy away.
func cmdFault(ts *testscript.TestScript, neg bool, args []string) {
	f, ok := ts.Value(faultKey{}).(*fault)
	if !ok || neg || len(args) == 0 {
		ts.Fatalf("usage: fault METHOD PATH ACTION [SKIP] | fault off")
	}
	if f.server != nil {
		ts.Setenv("OSP_SERVER", ts.Getenv("BEHIND"))
		f.close()
	}
	if args[0] == "off" {
		return
	}
	if len(args) < 3 {
		ts.Fatalf("usage: fault METHOD PATH ACTION [SKIP]")
	}
	behind := ts.Getenv("OSP_SERVER")
	target, err := url.Parse(behind)
	ts.Check(err)
	*f = fault{method: args[0], path: regexp.MustCompile(args[1]), held: make(chan struct{}), quit: make(chan struct{})}
	f.action, f.file = args[2], ""
	if name, ok := strings.CutPrefix(args[2], "append:"); ok {
		f.action, f.file = "append", ts.MkAbs(name)
	}
	if len(args) > 3 {
		f.skip, err = strconv.Atoi(args[3])
		ts.Check(err)
	}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = target.Host // the daemon refuses foreign ones
	}}
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	f.server = httptest.NewServer(f.around(proxy))
	ts.Defer(f.close)
	ts.Setenv("BEHIND", behind)
	ts.Setenv("OSP_SERVER", f.server.URL)
}

func (f *fault) close() {
	if f.server == nil {
		return
	}
	close(f.quit)
	f.server.CloseClientConnections()
	f.server.Close()
	f.server = nil
}

// hit reports whether the fault is for this request.
func (f *fault) hit(r *http.Request) bool {
	if r.Method != f.method || !f.path.MatchString(r.URL.Path) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skip--
	return f.skip < 0
}

func (f *fault) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.hit(r) {
			next.ServeHTTP(w, r)
			return
		}
		switch f.action {
		case "hang":
			f.once.Do(func() { close(f.held) })
			select {
			case <-f.quit:
			case <-r.Context().Done():
			}
			panic(http.ErrAbortHandler)
		case "drop":
			panic(http.ErrAbortHandler)
		case "lose":
			f.once.Do(func() {
				next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			})
			next.ServeHTTP(w, r)
		case "append":
			f.once.Do(func() { grow(f.file) })
			next.ServeHTTP(w, r)
		default:
			f.answer(w, protocol.Kind(f.action))
		}
	})
}

// answer gives a problem with text that must not reach a terminal as it is.
func (f *fault) answer(w http.ResponseWriter, kind protocol.Kind) {
	row := kind.Row()
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(row.Status)
	_ = json.NewEncoder(w).Encode(protocol.Problem{Type: "about:blank", Title: row.Title, Status: row.Status,
		Detail: "made up by \x1b[31mthe\r\ntest", Code: kind, RequestID: "req-1", Retryable: row.Retryable})
}

// grow appends a byte. A failure shows as a script that goes on undisturbed.
func grow(path string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return
	}
	_, _ = f.Write([]byte{'!'})
	f.Close()
}
