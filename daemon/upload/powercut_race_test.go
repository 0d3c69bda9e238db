//go:build race && !postgres

package upload_test

// powerCutEach: `make test-race` cuts the power at every moment.
const powerCutEach = 1
