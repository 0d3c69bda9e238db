//go:build !servers

package predecessor

// How often tests do what a daemon must bear very often: enough to see that
// something stays behind each time. With the tag servers it is as often as the
// rows have it.
const (
	failingUploads   = 100
	abortedDownloads = 50
)
