//go:build servers

package process

import "testing"

// TestKilledBatchOfTenThousand is killBatch at the size that the promise is
// made for.
func TestKilledBatchOfTenThousand(t *testing.T) { killBatch(t, 10_000) }
