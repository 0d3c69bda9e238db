package daemon

// OthersOf is what imports are told of stores that share a bucket.
func OthersOf(c *Config) map[string][]string { return c.others() }

// Advise is what is told of a store that cannot be used at the start.
func Advise(err error) error { return advise(err) }
