// Package gotest runs the conformance suite under go test.
package gotest

import (
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/storetest"
)

// Run is storetest.Run on a *testing.T. Open gets the case's own *testing.T,
// for its TempDir.
func Run(t *testing.T, open func(t *testing.T) store.Backend) {
	storetest.Run(runner{t}, func(t storetest.T) store.Backend { return open(t.(runner).T) })
}

// runner is a storetest.T.
type runner struct{ *testing.T }

func (r runner) Run(name string, f func(storetest.T)) bool {
	return r.T.Run(name, func(t *testing.T) { f(runner{t}) })
}
