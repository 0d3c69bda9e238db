//go:build servers

package process

// usualKills is how often `make test-servers` kills.
const usualKills = 20
