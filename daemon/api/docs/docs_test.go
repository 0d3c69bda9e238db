package docs

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestAssetsAreWhatTheReadmeSays: what is served is what was published under the
// version that the readme names.
func TestAssetsAreWhatTheReadmeSays(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(swagger-ui[^`]*)` \\| `([0-9a-f]{64})` \\|$").FindAllStringSubmatch(string(readme), -1) {
		said[m[1]] = m[2]
	}
	version := regexp.MustCompile(`(?m)^\| version \| ([0-9.]+) \|$`).FindSubmatch(readme)
	seen := 0
	for _, a := range Assets() {
		if a.Packed == nil {
			continue
		}
		seen++
		if sum := sha256.Sum256(a.Plain()); said[path.Base(a.Path)] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s is not what the readme has: %x", a.Path, sum)
		}
	}
	if seen != 2 || len(said) != 2 || version == nil || !strings.Contains(string(read("licenses.txt")), "swagger-ui-dist "+string(version[1])) {
		t.Errorf("%d files, %d sums, version %q", seen, len(said), version)
	}
}

// TestPageIsWhole: whatever the page refers to is here, from both of its places,
// and nothing is anywhere else, or in the page itself.
func TestPageIsWhole(t *testing.T) {
	paths, pages := map[string]Asset{"/openapi.json": {}}, 0
	for _, a := range Assets() {
		if _, twice := paths[a.Path]; twice || a.MediaType == "" || len(a.Plain()) == 0 || a.Sum() == "" {
			t.Errorf("%s is there twice, or empty", a.Path)
		}
		paths[a.Path] = a
	}
	for at, a := range paths {
		if !strings.HasPrefix(a.MediaType, "text/html") {
			continue
		}
		pages++
		text := string(a.Plain())
		refs := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(text, -1)
		for _, m := range refs {
			if _, ok := paths[path.Join(path.Dir(at), m[1])]; !ok && m[1] != "data:," {
				t.Errorf("%s leads to %s, which is not here", at, m[1])
			}
		}
		if len(refs) != 7 || regexp.MustCompile(`<style|style=|<script>|\son[a-z]+=|//`).MatchString(text) {
			t.Errorf("%s has %d references, or something that the policy forbids", at, len(refs))
		}
	}
	if pages != 2 {
		t.Errorf("%d pages", pages)
	}
}
