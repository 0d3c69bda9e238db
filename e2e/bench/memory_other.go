//go:build !linux

package main

// takeMemory does nothing: the bench runs on Linux alone.
func takeMemory() error { return nil }
