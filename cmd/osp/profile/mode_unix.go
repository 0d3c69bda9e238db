//go:build unix

package profile

import "io/fs"

func othersMay(info fs.FileInfo, what fs.FileMode) bool { return info.Mode().Perm()&what != 0 }
