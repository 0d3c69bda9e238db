package main

import (
	"fmt"
	"os"
	"syscall"
)

// atHand is how much free memory the machine is made to have at hand before a
// measured step: what the largest of them writes into the page cache, three times.
const atHand = 3 << 30

// takeMemory has size bytes of free memory, at most half of what there is, given
// to the machine by its host, and gives them back to the machine. A virtual
// machine may hand free pages back to its host, and the first that asks for one
// again then waits for the host: whether a step writes into such pages has
// nothing to do with the programs that are measured.
func takeMemory(size int64) error {
	free, err := freeMemory()
	if err != nil {
		return err
	}
	size = min(size, free/2)
	held, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("taking %d bytes of memory: %w", size, err)
	}
	page := os.Getpagesize()
	for i := 0; i < len(held); i += page {
		held[i] = 1
	}
	return syscall.Munmap(held)
}

func freeMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return parseKiB(string(text), "MemFree:")
}
