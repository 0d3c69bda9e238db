//go:build servers

package predecessor

const (
	failingUploads   = 5000
	abortedDownloads = 1000
)
