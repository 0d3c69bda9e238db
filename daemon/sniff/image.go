package sniff

import (
	"bytes"
	"encoding/binary"
)

// Image is how large an image is, in pixels as they are stored: what a
// photograph's orientation turns round is not turned.
type Image struct{ Width, Height int }

// maxSide bounds what is believed of a width or a height. JPEG cannot say more
// than 65,535 and WebP 16,777,216; who says more than this of a PNG or BMP
// wants to see what falls over.
const maxSide = 1 << 20

// ImageSize is the size of the PNG, JPEG, GIF, WebP or BMP that begins with
// head. ok is false for what is none of them, ends before its size, or is of
// no size that can be believed.
func ImageSize(head []byte) (size Image, ok bool) {
	for _, f := range [...]struct {
		magic string
		read  func([]byte) (w, h int64)
	}{
		{"\x89PNG\r\n\x1a\n", pngSize}, {"\xff\xd8\xff", jpegSize}, {"GIF87a", gifSize}, {"GIF89a", gifSize}, {"RIFF", webpSize}, {"BM", bmpSize},
	} {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			w, h := f.read(head)
			ok = 0 < w && w <= maxSide && 0 < h && h <= maxSide
			if !ok {
				return Image{}, false
			}
			return Image{int(w), int(h)}, true
		}
	}
	return Image{}, false
}

// pngSize reads the chunk IHDR, which is the first.
func pngSize(b []byte) (w, h int64) {
	if len(b) < 24 || string(b[12:16]) != "IHDR" || binary.BigEndian.Uint32(b[8:]) != 13 {
		return 0, 0
	}
	return int64(binary.BigEndian.Uint32(b[16:])), int64(binary.BigEndian.Uint32(b[20:]))
}

// gifSize reads the logical screen, which is what a viewer shows.
func gifSize(b []byte) (w, h int64) {
	if len(b) < 10 {
		return 0, 0
	}
	return int64(binary.LittleEndian.Uint16(b[6:])), int64(binary.LittleEndian.Uint16(b[8:]))
}

// bmpSize reads the header of OS/2 (12 bytes) or one of those of Windows. A
// height below zero says that the rows are stored from the top.
func bmpSize(b []byte) (w, h int64) {
	if len(b) < 26 {
		return 0, 0
	}
	switch n := binary.LittleEndian.Uint32(b[14:]); {
	case n == 12:
		return int64(binary.LittleEndian.Uint16(b[18:])), int64(binary.LittleEndian.Uint16(b[20:]))
	case n >= 40 && n <= 124:
		w, h = int64(int32(binary.LittleEndian.Uint32(b[18:]))), int64(int32(binary.LittleEndian.Uint32(b[22:])))
		return w, max(h, -h)
	}
	return 0, 0
}

// webpSize reads the first chunk: lossy, lossless, or extended.
func webpSize(b []byte) (w, h int64) {
	if len(b) < 30 || string(b[8:12]) != "WEBP" {
		return 0, 0
	}
	switch p := b[20:]; string(b[12:16]) {
	case "VP8 ":
		if p[0]&1 != 0 || string(p[3:6]) != "\x9d\x01\x2a" { // no key frame
			return 0, 0
		}
		const scale = 1<<14 - 1
		return int64(binary.LittleEndian.Uint16(p[6:]) & scale), int64(binary.LittleEndian.Uint16(p[8:]) & scale)
	case "VP8L":
		if p[0] != 0x2f {
			return 0, 0
		}
		bits := int64(binary.LittleEndian.Uint32(p[1:]))
		return bits&(1<<14-1) + 1, bits>>14&(1<<14-1) + 1
	case "VP8X":
		return uint24(p[4:]) + 1, uint24(p[7:]) + 1
	}
	return 0, 0
}

func uint24(b []byte) int64 { return int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16 }

// jpegSize goes from segment to segment to the first frame header, over what
// lies between them and is none, as all decoders do. Each step goes on by at
// least a byte, so that it ends with the bytes.
func jpegSize(b []byte) (w, h int64) {
	for b = b[2:]; len(b) >= 9; {
		marker := b[1]
		switch {
		case b[0] != 0xff || marker == 0xff: // no segment yet
			b = b[1:]
			continue
		case isFrame(marker):
			return int64(binary.BigEndian.Uint16(b[7:])), int64(binary.BigEndian.Uint16(b[5:]))
		case marker <= 0x01 || 0xd0 <= marker && marker <= 0xd7: // have no length
			b = b[2:]
			continue
		case marker == 0xd8 || marker == 0xd9 || marker == 0xda: // no frame comes after these
			return 0, 0
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 2 {
			return 0, 0
		}
		b = b[min(2+n, len(b)):]
	}
	return 0, 0
}

// isFrame says that the marker begins a frame: SOF0 to SOF15 without those of
// that range that are tables.
func isFrame(marker byte) bool {
	return 0xc0 <= marker && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc
}
