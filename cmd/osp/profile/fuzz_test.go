package profile

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// FuzzDecode: what is written in place of a file that was read is read the
// same, and no message repeats a token.
func FuzzDecode(f *testing.F) {
	tokens := regexp.MustCompile(`osp_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}`)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decode(text)
		if err != nil {
			for _, token := range tokens.FindAllString(string(text), -1) {
				if strings.Contains(err.Error(), token[len("osp_0123456789ab_"):]) {
					t.Errorf("%q: the message repeats a token: %v", text, err)
				}
			}
			return
		}
		data, err := yaml.Marshal(c)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := decode(append([]byte(header), data...))
		if err != nil || again.Current != c.Current || len(again.Profiles) != len(c.Profiles) ||
			len(c.Profiles) > 0 && !reflect.DeepEqual(again.Profiles, c.Profiles) {
			t.Errorf("%q is %#v, written as %q, and then %#v, %v", text, c, data, again, err)
		}
	})
}

// FuzzParseSecret: a secret is one word of the text, and fits into a header.
func FuzzParseSecret(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := ParseSecret(text)
		if err != nil {
			if word := strings.TrimSpace(text); len(word) > 8 && strings.Contains(err.Error(), word) {
				t.Errorf("%q: the message repeats it: %v", text, err)
			}
			return
		}
		if bytes.ContainsAny([]byte(secret.Text()), "\r\n\x00 \t") || strings.TrimSpace(text) != secret.Text() {
			t.Errorf("%q is read as %q", text, secret.Text())
		}
		if printed := secret.String(); strings.Contains(printed, secret.Text()) || len(printed) > len("osp_0123456789ab_…") {
			t.Errorf("%q is printed as %q", text, printed)
		}
	})
}
