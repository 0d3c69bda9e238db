package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// urlPatience bounds one request of a script.
const urlPatience = 30 * time.Second

// cmdURL is `url [until] METHOD FROM STATUS [TO|FILE]`: a request without a token
// to the address that the file FROM begins with, or that follows its first tab. A
// PUT sends FILE; what a GET is answered with goes to the file TO, and the header
// of the answer to a HEAD. With until the answer must come to that status: the
// request is sent until it does.
func cmdURL(ts *testscript.TestScript, neg bool, args []string) {
	until := len(args) > 0 && args[0] == "until"
	if until {
		args = args[1:]
	}
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: url [until] METHOD FROM STATUS [TO|FILE]")
	}
	status, got := askURL(ts, args)
	for end := time.Now().Add(patience); until && status != args[2] && time.Now().Before(end); status, got = askURL(ts, args) {
		time.Sleep(50 * time.Millisecond)
	}
	if status != args[2] {
		ts.Fatalf("answered %s: %s", status, got)
	}
	if args[0] != http.MethodPut && len(args) == 4 {
		ts.Check(os.WriteFile(ts.MkAbs(args[3]), got, 0o600))
	}
}

// askURL sends the request once.
func askURL(ts *testscript.TestScript, args []string) (status string, got []byte) {
	line, _, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	if _, behind, ok := strings.Cut(line, "\t"); ok {
		line = behind
	}
	var body io.Reader
	if args[0] == http.MethodPut {
		body = strings.NewReader(ts.ReadFile(args[3]))
	}
	ctx, cancel := context.WithTimeout(context.Background(), urlPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, args[0], line, body)
	ts.Check(err)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	got, err = io.ReadAll(resp.Body)
	ts.Check(errors.Join(err, resp.Body.Close()))
	if args[0] == http.MethodHead {
		var b bytes.Buffer
		ts.Check(resp.Header.Write(&b))
		got = bytes.ReplaceAll(b.Bytes(), []byte("\r"), nil)
	}
	return strconv.Itoa(resp.StatusCode), got
}
