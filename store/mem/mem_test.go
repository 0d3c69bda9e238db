package mem_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest/gotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	gotest.Run(t, func(*testing.T) store.Backend { return mem.New() })
}
