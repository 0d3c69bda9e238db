package api

import (
	"fmt"
	"mime"
	"strings"
)

// mayInline reports whether a browser may show the type where it is, rather
// than save it. What can carry a script never is (reference: OWASP File Upload).
func mayInline(mediaType string) bool {
	t, _, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return false
	}
	switch t {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif",
		"video/mp4", "video/webm", "audio/mpeg", "audio/ogg", "video/ogg", "application/ogg",
		"application/pdf", "text/plain":
		return true
	}
	return false
}

// disposition is the Content-Disposition for a file of that name: the name in
// ASCII for old readers, and, where that is not the same, whole in UTF-8 (RFC
// 6266, RFC 8187).
func disposition(inline bool, name string) string {
	kind := "attachment"
	if inline {
		kind = "inline"
	}
	ascii := strings.Map(func(r rune) rune {
		// A percent sign is read as an escape by some, though it is none.
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '%' {
			return '_'
		}
		return r
	}, name)
	if ascii == name {
		return fmt.Sprintf(`%s; filename="%s"`, kind, ascii)
	}
	return fmt.Sprintf(`%s; filename="%s"; filename*=UTF-8''%s`, kind, ascii, extValue(name))
}

// extValue escapes all but the attr-char of RFC 8187 section 3.2.1.
func extValue(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}
