//go:build !postgres

package meta

import "testing"

// located is metatest.Located.
func located(_ testing.TB, cfg Config) Config { return cfg }
