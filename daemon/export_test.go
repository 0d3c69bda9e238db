package daemon

// Scrubbing is the handler of scrubs, for tests without a whole daemon.
var Scrubbing = scrubbing
