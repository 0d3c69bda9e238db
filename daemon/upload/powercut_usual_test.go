//go:build !race && !postgres

package upload_test

// powerCutEach: `make test` cuts the power at some moments, `make test-race` at
// all of them.
const powerCutEach = 5
