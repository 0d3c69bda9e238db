//go:build unix

package batch

// lockPath is the file whose lock stands for the journal: the journal itself.
func lockPath(journal string) string { return journal }
