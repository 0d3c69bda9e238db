package e2e

import (
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

// cmdURL is `url METHOD FROM STATUS [TO|FILE]`: a request without a token to the
// address that the file FROM begins with, or that follows its first tab. A PUT
// sends FILE; what a GET is answered with goes to the file TO.
func cmdURL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: url METHOD FROM STATUS [TO|FILE]")
	}
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
	got, err := io.ReadAll(resp.Body)
	ts.Check(errors.Join(err, resp.Body.Close()))
	if strconv.Itoa(resp.StatusCode) != args[2] {
		ts.Fatalf("answered %s: %s", resp.Status, got)
	}
	if args[0] == http.MethodGet && len(args) == 4 {
		ts.Check(os.WriteFile(ts.MkAbs(args[3]), got, 0o600))
	}
}
