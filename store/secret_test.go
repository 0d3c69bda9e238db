package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
)

func TestSecretsDoNotPrint(t *testing.T) {
	const text = "wJalrXUtnFEMI"
	var s store.Secret
	if err := s.UnmarshalText([]byte(text)); err != nil || s.Reveal() != text {
		t.Fatalf("%q, %v", s.Reveal(), err)
	}
	type config struct {
		Key    string
		Secret store.Secret
		hidden store.Secret
	}
	c := config{"id", s, s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, s, &s, c, []config{c})
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("configured", "secret", s, "config", c)
	if strings.Contains(out.String(), text) || strings.Contains(out.String(), fmt.Sprintf("%x", text)) {
		t.Errorf("printed: %s", out.String())
	}
	if !strings.Contains(out.String(), `"secret":"(hidden)"`) {
		t.Errorf("nothing says that there is one: %s", out.String())
	}
	if (store.Secret{}).String() != "" || (store.Secret{}).Reveal() != "" {
		t.Error("the empty secret is none")
	}
}
