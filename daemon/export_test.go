package daemon

// OthersOf is what imports are told of stores that share a bucket.
func OthersOf(c *Config) map[string][]string { return c.others() }
