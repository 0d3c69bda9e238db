//go:build !postgres

// What is read of stores is the same wherever metadata is.

package file

import (
	"bytes"
	"testing"
)

func TestEveryRangeOfEverySizeIsTheBytes(t *testing.T) {
	for _, kind := range kinds {
		for name, lengths := range layouts {
			t.Run(kind+"/"+name, func(t *testing.T) {
				b := newBench(t, kind, VerifyFirst)
				for _, size := range []int{0, 1, 2, bs - 2, bs - 1, bs, bs + 1, bs + 2, 2*bs - 1, 2 * bs, 2*bs + 2} {
					data := noise(size)
					uid := b.put(data, lengths...)
					for _, r := range ranges(int64(size)) {
						got, err := b.read(uid, r[0], r[1])
						if err != nil {
							t.Fatalf("size %d: %d bytes from %d: %v", size, r[1], r[0], err)
						}
						if !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
							t.Fatalf("size %d: %d bytes from %d: wrong bytes", size, r[1], r[0])
						}
					}
				}
			})
		}
	}
}
