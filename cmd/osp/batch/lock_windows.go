package batch

// lockPath is the file whose lock stands for the journal. A locked file cannot
// be read through another handle here, so it is one of its own.
func lockPath(journal string) string { return journal + ".lock" }
