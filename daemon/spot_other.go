//go:build !unix

package daemon

// spot is not known here.
func spot(string) string { return "" }
