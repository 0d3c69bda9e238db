package token

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

var ones = [32]byte(bytes.Repeat([]byte{0xff}, 32))

// vectors were computed by another program from the package's description.
var vectors = []struct {
	id     string
	secret [32]byte
	text   string
	hash   string // under a pepper of 32 zero bytes
}{
	{"000000000000", [32]byte{}, "osp_000000000000_000000000000000000000000000000000000000000030kiwq",
		"33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"},
	{"0123abcXYZzz", [32]byte{31: 1}, "osp_0123abcXYZzz_00000000000000000000000000000000000000000013UEHcJ",
		"a0a80f255887a41a4e2483df3141f5f796a7de0bd3a64bac5d17ef5892365c0d"},
	{"zzzzzzzzzzzz", ones, "osp_zzzzzzzzzzzz_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp14Q0mLB",
		"ce9ca061301c497175e5bf602699dde29786967f3c1d5740e2bdeed39ea62617"},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		k := Token{v.id, v.secret}
		if got := k.Text(); got != v.text {
			t.Errorf("the text of %s is %s, want %s", v.id, got, v.text)
		}
		if hash := k.Hash([32]byte{}); hex.EncodeToString(hash[:]) != v.hash {
			t.Errorf("the hash of %s is %x, want %s", v.id, hash, v.hash)
		}
		if back, err := Parse(v.text); back != k || err != nil {
			t.Errorf("%s is read as %s, %v", v.text, back, err)
		}
	}
}

// TestEachTokenIsNew: the form that scanners search for, and no two alike.
func TestEachTokenIsNew(t *testing.T) {
	form := regexp.MustCompile(`^osp_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	for range 1000 {
		k := New()
		if text := k.Text(); !form.MatchString(text) || seen[k.ID] || seen[text] || !IsID(k.ID) {
			t.Fatalf("made %s", text)
		} else if back, err := Parse(text); back != k || err != nil {
			t.Fatalf("%s is read as %s, %v", text, back, err)
		}
		seen[k.ID], seen[k.Text()] = true, true
	}
}

// TestWhatIsNoToken: whatever differs from a token in one character, or in
// length, is none, and the error does not repeat it.
func TestWhatIsNoToken(t *testing.T) {
	text := New().Text()
	wrong := []string{"", "osp_", text[1:], text + "0", text + "\n", " " + text, strings.ToUpper(text), strings.Repeat("0", len(text)),
		"ghp_" + text[4:], text[:textLength-1] + "é", text + text}
	for i := range text {
		for _, c := range alphabet + "_-. \x00" {
			if byte(c) != text[i] {
				wrong = append(wrong, text[:i]+string(c)+text[i+1:])
			}
		}
		wrong = append(wrong, text[:i], text[:i]+text[i+1:])
		if i+1 < len(text) && text[i] != text[i+1] {
			wrong = append(wrong, text[:i]+text[i+1:i+2]+text[i:i+1]+text[i+2:])
		}
	}
	// A number beyond 256 bits, with its checksum.
	beyond := prefix + strings.Repeat("0", idDigits) + "_" + strings.Repeat("z", secretDigits)
	wrong = append(wrong, beyond+checksum(beyond))
	for _, w := range wrong {
		k, err := Parse(w)
		if protocol.KindOf(err) != protocol.KindUnauthenticated || k != (Token{}) {
			t.Fatalf("%q is read as %s, %v", w, k, err)
		}
		if len(w) > 8 && strings.Contains(fmt.Sprintf("%v %+v", err, err), w[4:]) {
			t.Errorf("the error repeats it: %v", err)
		}
	}
}

func TestIsID(t *testing.T) {
	for id, want := range map[string]bool{"000000000000": true, "0123abcXYZzz": true, "": false, "00000000000": false, "0000000000000": false, "00000000000_": false, "../../../../": false} {
		if IsID(id) != want {
			t.Errorf("IsID(%q) = %v", id, !want)
		}
	}
}

// TestPrinted: whatever a Token is printed with, its secret stays out.
func TestPrinted(t *testing.T) {
	k := Token{"0123abcXYZzz", [32]byte{7, 31: 7}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", k)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", k)
	printed := fmt.Sprintf("%s %v %+v %#v %v %s", k, k, k, k, struct{ T Token }{k}, log.String())
	if strings.Contains(printed, k.Text()[17:60]) || strings.Contains(printed, "7 0 0") || strings.Contains(printed, "0x7") || strings.Count(printed, "osp_0123abcXYZzz_…") != 7 {
		t.Errorf("printed as %s", printed)
	}
}

// FuzzParse: a text is read as a token or not at all, and a token has one text.
func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.text)
	}
	f.Add("osp_")
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := Parse(text); err == nil && k.Text() != text {
			t.Errorf("%q is read as %q", text, k.Text())
		}
	})
}
