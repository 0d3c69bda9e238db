package harness

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/daemon/api"
	"github.com/osproxy/osproxy/daemon/api/openapi/openapitest"
	"github.com/osproxy/osproxy/e2e/tap"
)

// document is the one that every daemon serves, but for its version.
var document = sync.OnceValues(func() (*openapitest.Document, error) {
	return openapitest.Read(api.Document("test"))
})

// Tapped is the address of a tap in front of the daemon at url, for as long as
// the daemon runs. An answer that is not as the daemon's OpenAPI document has it
// fails the test.
func Tapped(t testing.TB, url string, ended <-chan struct{}) string {
	t.Helper()
	listening, err := Tap(url, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	go func() { // it ends with the process, which the test ends
		<-ended
		listening.Refuse()
	}()
	t.Cleanup(func() {
		if err := listening.Close(); err != nil {
			t.Error(err)
		}
	})
	return listening.URL()
}

// Tap is Tapped for a daemon that many tests share: report is given what is wrong
// with answers, and whoever asked for the tap closes it.
func Tap(url string, report func(error)) (*tap.Tap, error) {
	document, err := document()
	if err != nil {
		return nil, err
	}
	return tap.New(strings.TrimPrefix(url, "http://"), document, func(err error) {
		report(fmt.Errorf("this answer is not as the OpenAPI document has it: %w", err))
	})
}
