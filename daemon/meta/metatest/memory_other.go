//go:build !linux

package metatest

func inMemory() error { return nil }
