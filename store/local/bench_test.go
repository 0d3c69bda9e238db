package local_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
)

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20, 8 << 20} {
		data := random(1, size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := open(b, local.Config{Path: b.TempDir()})
			defer s.Close()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				putOnce(b, s, data)
			}
		})
	}
	b.Run("4096 parallel", func(b *testing.B) {
		s := open(b, local.Config{Path: b.TempDir()})
		defer s.Close()
		data := random(1, 4096)
		b.SetBytes(4096)
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				putOnce(b, s, data)
			}
		})
	})
}

func putOnce(b *testing.B, s *local.Backend, data []byte) {
	key := store.NewKey("00000001")
	if err := s.Put(b.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		b.Error(err)
	}
	if err := s.Delete(b.Context(), key); err != nil {
		b.Error(err)
	}
}

// BenchmarkAssembly writes 64 MiB as parts of 8 MiB and syncs once.
func BenchmarkAssembly(b *testing.B) {
	const part, parts = 8 << 20, 8
	s := open(b, local.Config{Path: b.TempDir()})
	defer s.Close()
	data := random(1, part)
	b.SetBytes(part * parts)
	b.ReportAllocs()
	for b.Loop() {
		key := store.NewKey("00000001")
		a, err := s.Assemble(b.Context(), key)
		if err != nil {
			b.Fatal(err)
		}
		for i := range int64(parts) {
			if _, err := a.WriteAt(data, i*part); err != nil {
				b.Fatal(err)
			}
			a.Flush(i*part, part)
		}
		if err := a.Sync(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := a.Close(); err != nil {
			b.Fatal(err)
		}
		if err := s.Delete(b.Context(), key); err != nil {
			b.Fatal(err)
		}
	}
}
