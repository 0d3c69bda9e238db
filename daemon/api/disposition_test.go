package api

import (
	"mime"
	"testing"
)

func TestDisposition(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt":      `attachment; filename="a.txt"`,
		"a b;c.txt":  `attachment; filename="a b;c.txt"`,
		`a"b.txt`:    `attachment; filename="a_b.txt"; filename*=UTF-8''a%22b.txt`,
		"50%41.txt":  `attachment; filename="50_41.txt"; filename*=UTF-8''50%2541.txt`,
		"naïve €.md": `attachment; filename="na_ve _.md"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.md`,
		"文件":         `attachment; filename="__"; filename*=UTF-8''%E6%96%87%E4%BB%B6`,
		"a\r\nb":     `attachment; filename="a__b"; filename*=UTF-8''a%0D%0Ab`,
	} {
		got := disposition(false, name)
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
		if _, params, err := mime.ParseMediaType(got); err != nil || params["filename"] != name {
			t.Errorf("%q reads back as %q, %v", name, params["filename"], err)
		}
	}
	for mediaType, inline := range map[string]bool{
		"image/png": true, "IMAGE/PNG": true, "text/plain; charset=utf-8": true, "application/pdf": true, "video/mp4": true,
		"text/html": false, "image/svg+xml": false, "application/xhtml+xml": false, "text/xml": false, "application/javascript": false, "": false, "text/plain, text/html": false,
	} {
		if mayInline(mediaType) != inline {
			t.Errorf("%q inline: %v, want %v", mediaType, !inline, inline)
		}
	}
}
