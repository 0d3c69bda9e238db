package main

import (
	"fmt"
	"os"
	"syscall"
)

// atHand is how much free memory the machine is made to have at hand before a
// measured step, in small pages and in large ones each: what the largest step
// writes into the page cache, and half as much again.
const atHand = 3 << 29

// takeMemory has free memory given to the machine by its host, at most half of
// what there is, and gives it back to the machine. A virtual machine may hand
// free pages back to its host, and who asks for one again then waits for the
// host: whether a step writes into such pages has nothing to do with the programs
// that are measured. Programs that write in large pieces are given large pages,
// the others small ones.
func takeMemory() error {
	free, err := freeMemory()
	if err != nil {
		return err
	}
	size := int(min(atHand, free/4))
	small, err := touched(size, 0)
	if err != nil {
		return err
	}
	large, err := touched(size, syscall.MADV_HUGEPAGE)
	if err != nil {
		return err
	}
	if err := syscall.Munmap(small); err != nil {
		return err
	}
	return syscall.Munmap(large)
}

// touched is memory of which each page was written to.
func touched(size, advice int) ([]byte, error) {
	held, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("taking %d bytes of memory: %w", size, err)
	}
	if advice != 0 {
		_ = syscall.Madvise(held, advice) // where there are no large pages, nobody is given any
	}
	for i := 0; i < len(held); i += os.Getpagesize() {
		held[i] = 1
	}
	return held, nil
}

func freeMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return parseKiB(string(text), "MemFree:")
}
