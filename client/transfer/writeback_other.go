//go:build !linux

package transfer

import "os"

// beginWriteback leaves it to the sync.
func beginWriteback(*os.File, int64, int64) {}
