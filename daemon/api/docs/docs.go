// Package docs is the page that shows the API's description and lets one try it
// out: swagger-ui as it was published (README.md says which), and a few lines to
// start it. It is all there is: the page asks no other host for anything.
package docs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"path"
	"strings"
	"sync"
)

//go:embed assets
var assets embed.FS

// Policy is the Content-Security-Policy of everything here: scripts, styles and
// requests of the page's own origin, and pictures that the styles have in them.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Asset is one file of the page. The functions come to the same each time and may
// be called by several goroutines at once.
type Asset struct {
	// Path is where it is served.
	Path      string
	MediaType string
	// Plain is its bytes, Packed the same in gzip, nil where it is not compressed.
	Plain  func() []byte
	Packed []byte
	// Sum is of the bytes, and of Packed another.
	Sum func() string
}

// Where the page is: here, and where the predecessor had it.
const (
	PagePath    = "/docs"
	OldPagePath = "/swagger/index.html"
)

// Assets are all of them.
func Assets() []Asset {
	page := read("index.html")
	list := []Asset{
		plain(PagePath, "text/html; charset=utf-8", inPlace(page, "docs/")),
		plain(OldPagePath, "text/html; charset=utf-8", inPlace(page, "../docs/")),
	}
	for name, mediaType := range map[string]string{
		"docs.css": "text/css; charset=utf-8", "docs.js": "text/javascript; charset=utf-8", "licenses.txt": "text/plain; charset=utf-8",
	} {
		list = append(list, plain(path.Join(PagePath, name), mediaType, read(name)))
	}
	for name, mediaType := range map[string]string{"swagger-ui.css": "text/css; charset=utf-8", "swagger-ui-bundle.js": "text/javascript; charset=utf-8"} {
		list = append(list, packed(path.Join(PagePath, name), mediaType, read(name+".gz")))
	}
	return list
}

// inPlace is the page with addresses that lead to the others from where it is,
// also where a proxy has all of it below a folder.
func inPlace(page []byte, base string) []byte {
	return []byte(strings.ReplaceAll(string(page), "BASE", base))
}

// read gives a file that is there: what is not is a mistake in the program.
func read(name string) []byte {
	b, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err)
	}
	return b
}

func plain(at, mediaType string, b []byte) Asset {
	return Asset{Path: at, MediaType: mediaType, Plain: func() []byte { return b }, Sum: sync.OnceValue(func() string { return sumOf(b) })}
}

func packed(at, mediaType string, b []byte) Asset {
	unpack := sync.OnceValue(func() []byte {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			panic(err)
		}
		all, err := io.ReadAll(z)
		if err != nil {
			panic(err)
		}
		return all
	})
	return Asset{Path: at, MediaType: mediaType, Plain: unpack, Packed: b, Sum: sync.OnceValue(func() string { return sumOf(b) })}
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
