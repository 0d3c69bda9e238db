package upload_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta/metatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(metatest.OnServer(m)) }
