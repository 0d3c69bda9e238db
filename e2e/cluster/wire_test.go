//go:build servers

package cluster

// wire is a TCP proxy.
type wire struct{}
