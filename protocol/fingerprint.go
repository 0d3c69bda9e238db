package protocol

import (
	"encoding/binary"
	"fmt"
	"io"
)

// samples is how many blocks of a large file the fingerprint looks at.
const samples = 16

// Window is a range of a file that its fingerprint covers.
type Window struct{ Offset, Length int64 }

// FingerprintWindows are the windows of a file of size bytes, ascending (WIRE
// 3): the whole file where it is one block or empty, else the heads of up to
// 16 blocks, the first and the last among them. Together they are at most
// BlockSize bytes, and each lies in one block.
func FingerprintWindows(size int64) []Window {
	if size <= BlockSize {
		return []Window{{0, max(size, 0)}}
	}
	last := BlockCount(size) - 1
	windows := make([]Window, 0, samples)
	for i := range int64(samples) {
		off := i * last / (samples - 1) * BlockSize
		if n := len(windows); n > 0 && windows[n-1].Offset == off {
			continue
		}
		windows = append(windows, Window{off, min(HeadSize, size-off)})
	}
	return windows
}

// FingerprintOf is the fingerprint of content of size bytes from the records
// of its blocks, all of them, in order. It panics when their number is not
// BlockCount(size): a fingerprint of other content must not be recorded.
func FingerprintOf(size int64, blocks []Block) Fingerprint {
	if int64(len(blocks)) != BlockCount(size) {
		panic(fmt.Sprintf("protocol: fingerprint of %d bytes from %d blocks", size, len(blocks)))
	}
	h := fingerprinter(size)
	switch {
	case size == 0:
		h.add(SumXXH3(nil))
	case size <= BlockSize:
		h.add(blocks[0].XXH3)
	default:
		for _, w := range FingerprintWindows(size) {
			h.add(blocks[w.Offset/BlockSize].Head)
		}
	}
	return h.sum()
}

// FingerprintReader is the fingerprint of a file of size bytes, of which it
// reads at most BlockSize. A file too short for one of its windows is
// io.ErrUnexpectedEOF, wrapped; any other change of its length is not noticed.
func FingerprintReader(r io.ReaderAt, size int64) (Fingerprint, error) {
	h := fingerprinter(size)
	buf := make([]byte, HeadSize)
	var window XXH3Hasher
	for _, w := range FingerprintWindows(size) {
		window.Reset()
		n, err := io.CopyBuffer(&window, io.NewSectionReader(r, w.Offset, w.Length), buf)
		if err == nil && n < w.Length {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return Fingerprint{}, fmt.Errorf("fingerprint at byte %d of %d: %w", w.Offset+n, size, err)
		}
		h.add(window.Sum())
	}
	return h.sum(), nil
}

// fingerprintHash is an XXH3 over the size and the windows' hashes.
type fingerprintHash struct{ h XXH3Hasher }

func fingerprinter(size int64) *fingerprintHash {
	f := new(fingerprintHash)
	f.h.Write(binary.BigEndian.AppendUint64(nil, uint64(size)))
	return f
}

func (f *fingerprintHash) add(window XXH3) { f.h.Write(window[:]) }

func (f *fingerprintHash) sum() Fingerprint { return Fingerprint(f.h.Sum()) }
