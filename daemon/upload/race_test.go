//go:build race

package upload_test

// raced: the race detector slows everything but the races down; then the tests
// that only count on many tries make few.
const raced = true
