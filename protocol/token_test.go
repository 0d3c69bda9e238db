package protocol

import (
	"strings"
	"testing"
)

func TestCheckScopes(t *testing.T) {
	for text, want := range map[string]bool{
		"file:read": true, "admin,file:read": true, AllScopes().String(): true,
		"": false, "file:reed": false, "File:read": false, "file:read,": false, "file:*": false, "admin:*": false, "admin,admin": false,
	} {
		var l Scopes
		for word := range strings.SplitSeq(text, ",") {
			l = append(l, Scope(word))
		}
		err := CheckScopes(l)
		if (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && KindOf(err) != KindBadRequest {
			t.Errorf("%q is %s", text, KindOf(err))
		}
	}
	if err := CheckScopes(nil); KindOf(err) != KindBadRequest {
		t.Errorf("no scopes: %v", err)
	}
	e, ok := CheckScopes(Scopes{"write"}).(*Error)
	if !ok || e.Hint != "Scopes are file:read, file:write, file:delete, link:create, webhook:manage, admin." {
		t.Errorf("the known ones are named so: %+v", e)
	}
}

func TestAllScopesAreTotal(t *testing.T) {
	for _, c := range constants(t, "Scope") {
		if !AllScopes().Has(Scope(c)) {
			t.Errorf("the constant %q is not among all scopes", c)
		}
	}
}

func TestCheckOwner(t *testing.T) {
	for name, want := range map[string]bool{
		"local": true, "a": true, "A.b_c-d@example.com": true, strings.Repeat("o", 64): true,
		"": false, strings.Repeat("o", 65): false, "a b": false, "a/b": false, "é": false, "a\n": false, "a,b": false, "*": false,
	} {
		if err := CheckOwner(Owner(name)); (err == nil) != want || err != nil && KindOf(err) != KindBadRequest {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCheckTokenNote(t *testing.T) {
	for note, want := range map[string]bool{
		"": true, "the CI of Äpfel": true, strings.Repeat("n", 255): true,
		strings.Repeat("n", 256): false, "a\tb": false, "a\nb": false, "\x1b[31m": false, "\xff": false,
	} {
		if err := CheckTokenNote(note); (err == nil) != want {
			t.Errorf("%q: %v", note, err)
		}
	}
}
