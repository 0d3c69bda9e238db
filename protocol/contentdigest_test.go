package protocol

import (
	"crypto/sha256"
	"testing"
)

func TestContentDigest(t *testing.T) {
	// The example of RFC 9530 appendix B.1.
	const example = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
	want := sha256.Sum256([]byte("{\"hello\": \"world\"}\n"))
	if got := FormatContentDigest(want); got != example {
		t.Errorf("%s, want %s", got, example)
	}
	const sha512 = "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:"
	for _, s := range []string{example, sha512 + ", " + example, example + "," + sha512, example + "\t,\t" + sha512} {
		if got, ok, err := ParseContentDigest(s); got != want || !ok || err != nil {
			t.Errorf("%s: %x, %t, %v", s, got, ok, err)
		}
	}
	if _, ok, err := ParseContentDigest(sha512); ok || err != nil {
		t.Errorf("only an unknown algorithm: %t, %v", ok, err)
	}
	const sum = "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg"
	for _, s := range []string{"", ",", example + ",", example + ", " + example, "sha-256", "sha-256=", "sha-256=:", "sha-256=::",
		"sha-256=" + sum + "=", "sha-256=:" + sum + ":", "sha-256=:" + sum + "=", "sha-256=:" + sum + "\n=:", "sha-256=:RK/0:",
		"sha-256=:RK_0qy18MlBSVnWgjwz6lZEWjP_lF5HF9bvEF8FabDg=:", "=:" + sum + "=:", "sha-256 =:" + sum[:3] + ":, =", sha512 + " sha-256"} {
		if got, ok, err := ParseContentDigest(s); ok || KindOf(err) != KindBadRequest {
			t.Errorf("%q: %x, %t, %v, want %s", s, got, ok, err, KindBadRequest)
		}
	}
}
