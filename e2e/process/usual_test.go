//go:build !servers

package process

// How often `make test` does what `make test-servers` does more often.
const (
	usualKills  = 4
	totalPoints = 2
)
