//go:build servers

package process

// How often `make test-servers` does what `make test` does less often.
const (
	usualKills  = 20
	totalPoints = 6
)
