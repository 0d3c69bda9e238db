//go:build !servers

package process

// usualKills is how often `make test` kills; `make test-servers` does it more
// often.
const usualKills = 4
