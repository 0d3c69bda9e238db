package sniff

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

// encoded is an image of the size as the standard library writes it.
func encoded(t testing.TB, format string, w, h int) []byte {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, w, h), palette.WebSafe)
	var b bytes.Buffer
	var err error
	switch format {
	case "png":
		err = png.Encode(&b, img)
	case "gif":
		err = gif.Encode(&b, img, nil)
	case "jpeg":
		err = jpeg.Encode(&b, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bmp is the beginning of one whose second header has n bytes.
func bmp(n uint32, w, h int32) []byte {
	b := append([]byte("BM"), make([]byte, 12)...)
	b = binary.LittleEndian.AppendUint32(b, n)
	if n == 12 {
		b = binary.LittleEndian.AppendUint16(b, uint16(w))
		b = binary.LittleEndian.AppendUint16(b, uint16(h))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(w))
		b = binary.LittleEndian.AppendUint32(b, uint32(h))
	}
	return append(b, make([]byte, 40)...)
}

// webp is the beginning of one whose first chunk is of the kind.
func webp(kind string, payload ...byte) []byte {
	b := append([]byte("RIFF\x40\x00\x00\x00WEBP"), kind...)
	b = append(b, 0x20, 0, 0, 0)
	return append(append(b, payload...), make([]byte, 20)...)
}

// segment is one of a JPEG.
func segment(marker byte, n int) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(n+2))
	return append(b, make([]byte, n)...)
}

// frame is a frame header of a JPEG.
func frame(marker byte, w, h uint16) []byte {
	b := []byte{0xff, marker, 0, 17, 8}
	b = binary.BigEndian.AppendUint16(b, h)
	b = binary.BigEndian.AppendUint16(b, w)
	return append(b, make([]byte, 10)...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

type imageCase struct {
	name string
	head []byte
	want Image
}

func imageCases(t testing.TB) []imageCase {
	soi, big := []byte{0xff, 0xd8}, make([]byte, 0, HeadSize)
	for range 10 { // profiles and previews before the frame
		big = append(big, segment(0xe2, 65_000)...)
	}
	none := Image{}
	return []imageCase{
		{"png", encoded(t, "png", 31, 17), Image{31, 17}},
		{"gif", encoded(t, "gif", 31, 17), Image{31, 17}},
		{"jpeg", encoded(t, "jpeg", 31, 17), Image{31, 17}},
		{"gif of 1987", append([]byte("GIF87a"), 31, 0, 17, 0), Image{31, 17}},
		{"bmp", bmp(40, 31, 17), Image{31, 17}},
		{"bmp from the top", bmp(124, 31, -17), Image{31, 17}},
		{"bmp of OS/2", bmp(12, 31, 17), Image{31, 17}},
		{"webp, lossy", webp("VP8 ", 0, 0, 0, 0x9d, 1, 0x2a, 31, 0x40, 17, 0x80), Image{31, 17}},
		{"webp, lossless", webp("VP8L", 0x2f, 30, 0, 4, 0), Image{31, 17}},
		{"webp, extended", webp("VP8X", 0, 0, 0, 0, 30, 0, 0, 16, 0, 1), Image{31, 65536 + 17}},
		{"progressive jpeg behind its profiles", join(soi, big, frame(0xc2, 4000, 3000)), Image{4000, 3000}},
		{"jpeg with other bytes between segments", join(soi, segment(0xe0, 14), []byte("x\xff\x00"), frame(0xc0, 31, 17)), Image{31, 17}},
		{"jpeg with fill and restart markers", join(soi, segment(0xe0, 14), []byte{0xff, 0xff, 0xff, 0xd0, 0xff, 0x01}, segment(0xdb, 65), frame(0xc0, 31, 17)), Image{31, 17}},

		{"nothing", nil, none},
		{"text", []byte(strings.Repeat("BMP? no. ", 10)), none},
		{"only magic, png", []byte("\x89PNG\r\n\x1a\n"), none},
		{"only magic, gif", []byte("GIF89a"), none},
		{"only magic, bmp", []byte("BM"), none},
		{"only magic, jpeg", []byte("\xff\xd8\xff"), none},
		{"only magic, webp", []byte("RIFF\x40\x00\x00\x00WEBP"), none},
		{"cut png", encoded(t, "png", 31, 17)[:23], none},
		{"cut jpeg", encoded(t, "jpeg", 31, 17)[:30], none},
		{"png whose first chunk is another", bytes.Replace(encoded(t, "png", 31, 17), []byte("IHDR"), []byte("IDAT"), 1), none},
		{"png without width", pngOf(0, 17), none},
		{"absurd png", pngOf(1<<31-1, 1<<31-1), none},
		{"png beyond signs", pngOf(1<<32-1, 1<<32-1), none},
		{"png just too wide", pngOf(maxSide+1, 1), none},
		{"png just not too wide", pngOf(maxSide, 1), Image{maxSide, 1}},
		{"absurd bmp", bmp(40, 1<<31-1, 1<<31-1), none},
		{"bmp of negative width", bmp(40, -31, 17), none},
		{"bmp of the lowest height", bmp(40, 31, -1<<31), none},
		{"bmp with a header of no length", bmp(0, 31, 17), none},
		{"bmp with an endless header", bmp(1<<32-1, 31, 17), none},
		{"riff that is no webp", append([]byte("RIFF\x40\x00\x00\x00WAVEfmt "), make([]byte, 40)...), none},
		{"webp of a frame that is no key", webp("VP8 ", 1, 0, 0, 0x9d, 1, 0x2a, 31, 0, 17, 0), none},
		{"webp of no size", webp("VP8 ", 0, 0, 0, 0x9d, 1, 0x2a, 0, 0, 0, 0), none},
		{"webp of another kind", webp("VP9 "), none},
		{"jpeg whose segment has no length", join(soi, []byte{0xff, 0xe0, 0, 0}, frame(0xc0, 31, 17)), none},
		{"jpeg whose segment goes beyond the end", join(soi, []byte{0xff, 0xe0, 0xff, 0xff}, frame(0xc0, 31, 17)), none},
		{"jpeg of nothing but fill", append(soi, bytes.Repeat([]byte{0xff}, HeadSize)...), none},
		{"jpeg of nothing but markers", append(soi, bytes.Repeat([]byte{0xff, 0xd0}, HeadSize/2)...), none},
		{"jpeg of nothing but short segments", append(soi, bytes.Repeat([]byte{0xff, 0xe0, 0, 2}, HeadSize/4)...), none},
		{"jpeg whose scan comes first", join(soi, segment(0xda, 10), frame(0xc0, 31, 17)), none},
		{"jpeg without height", join(soi, frame(0xc0, 31, 0)), none},
		{"jpeg of nothing but other bytes", append(append(soi, 0xff, 0xfe), make([]byte, HeadSize)...), none},
	}
}

// pngOf is the beginning of one that says it is of that size.
func pngOf(w, h uint32) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
	b = binary.BigEndian.AppendUint32(b, w)
	return binary.BigEndian.AppendUint32(b, h)
}

func TestImageSize(t *testing.T) {
	for _, c := range imageCases(t) {
		if got, ok := ImageSize(c.head); got != c.want || ok != (c.want != Image{}) {
			t.Errorf("%s: %v, %v, want %v", c.name, got, ok, c.want)
		}
	}
}

// Of an image that is cut anywhere its size is told, or nothing.
func TestCutImages(t *testing.T) {
	for _, c := range imageCases(t) {
		if len(c.head) > 4<<10 {
			continue
		}
		for n := range len(c.head) {
			if got, ok := ImageSize(c.head[:n]); ok && got != c.want {
				t.Errorf("%s, cut to %d bytes: %v", c.name, n, got)
			}
		}
	}
}

func TestMediaType(t *testing.T) {
	for _, c := range []struct{ head, want string }{
		{"", ""}, {"\x00\x01\x02\x03 who knows", ""}, {"short text", "text/plain; charset=utf-8"},
		{"%PDF-1.7\n", "application/pdf"}, {"<!DOCTYPE html><p>", "text/html; charset=utf-8"}, {"PK\x03\x04", "application/zip"},
		{"{\"a\": 1}", "application/json"}, {string(encoded(t, "png", 1, 1)), "image/png"},
		{strings.Repeat("text ", typeSize), "text/plain; charset=utf-8"},
	} {
		if got := MediaType([]byte(c.head)); got != c.want {
			t.Errorf("%.20q is %q, want %q", c.head, got, c.want)
		}
	}
}

// The size is what the decoders of the standard library say, where they say
// one and it can be believed.
func FuzzImageSize(f *testing.F) {
	for _, c := range imageCases(f) {
		f.Add(c.head[:min(len(c.head), 4<<10)])
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		MediaType(head)
		got, ok := ImageSize(head)
		if ok != (got != Image{}) || got.Width < 0 || got.Width > maxSide || got.Height < 0 || got.Height > maxSide {
			t.Fatalf("%v, %v", got, ok)
		}
		want, format, err := image.DecodeConfig(bytes.NewReader(head))
		if err != nil || want.Width <= 0 || want.Height <= 0 || want.Width > maxSide || want.Height > maxSide {
			return
		}
		if format == "jpeg" && head[2] != 0xff {
			return // by its beginning it is none (https://mimesniff.spec.whatwg.org/#image-type-pattern-matching-algorithm), but to package image
		}
		if fmt.Sprint(got) != fmt.Sprint(Image{want.Width, want.Height}) {
			t.Fatalf("a %s of %dx%d is said to be of %v", format, want.Width, want.Height, got)
		}
	})
}
