package api

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta/metatest"
)

// TestMain looks for goroutines that nobody waited for. fasthttp has two that
// end on their own time or never: the sweeper of a stopped server's workers
// sleeps to the end of its turn, and one goroutine formats the Date of all
// servers for as long as the process lives.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(metatest.OnServer(m),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}
