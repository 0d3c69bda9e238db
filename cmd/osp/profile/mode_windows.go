package profile

import "io/fs"

// othersMay cannot be told from the mode, which says nothing of access lists;
// a profile's folder is its user's alone there.
func othersMay(fs.FileInfo, fs.FileMode) bool { return false }
