//go:build !unlockedcommit

package meta

// lockCommit locks the upload of a commit, which must be open and at the gen at
// which its parts were looked at. Commits without it are what a test must find
// out (e2e/cluster).
func (t *tx) lockCommit(c Commit) (openUpload, error) {
	u, err := t.lockOpen(c.Owner, c.UID)
	if err == nil && u.gen != c.Gen {
		err = ErrGenChanged
	}
	return u, err
}
