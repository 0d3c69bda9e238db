//go:build !linux

package local

// Sync is the system's full file sync (on macOS F_FULLFSYNC).
func (f *osFile) Sync() error { return f.File.Sync() }

// Flush does nothing here: there is no call that only begins to write.
func (f *osFile) Flush(int64, int64) {}
