// Package token is who may use a daemon: the form of tokens (this file), what
// they allow, and the Service that checks, makes and revokes them
// (service.go).
//
// A token is the text
//
//	osp_<id>_<secret><crc>
//
// of 66 characters: id has 12 digits of base 62 (0-9, A-Z, a-z, in that
// order) and is no secret; secret is a number of 256 random bits in 43 digits;
// crc is the CRC-32 (IEEE) of everything before it in 6 digits, so that a
// mistyped token, or a word that only looks like one, is known for what it is
// without a database; token_test.go has vectors. Numbers are big-endian with zeros in front. Scanners for
// leaked secrets find tokens by osp_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}.
//
// A database keeps the id and HMAC-SHA256(key = its pepper, the 32 bytes of
// the secret): 256 random bits need no slow hash, and the pepper makes a token
// worthless at another installation.
package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"log/slog"
	"math/big"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// The form of a token.
const (
	prefix       = "osp_"
	idDigits     = 12
	secretDigits = 43
	crcDigits    = 6
	textLength   = len(prefix) + idDigits + 1 + secretDigits + crcDigits
)

// Token is a token as its bearer has it. It prints without its secret; Text
// alone gives that away.
type Token struct {
	ID     string
	secret [32]byte
}

// New makes a token that nobody has.
func New() Token {
	var t Token
	rand.Read(t.secret[:]) // never fails (crypto/rand)
	var id [16]byte
	rand.Read(id[:])
	n := new(big.Int).SetBytes(id[:])
	t.ID = digits(n.Mod(n, power(idDigits)), idDigits)
	return t
}

// Parse reads the one spelling a token has. Anything else is
// KindUnauthenticated, in words that do not repeat it.
func Parse(text string) (Token, error) {
	if len(text) != textLength || !strings.HasPrefix(text, prefix) || text[len(prefix)+idDigits] != '_' {
		return Token{}, refused()
	}
	body, crc := text[:textLength-crcDigits], text[textLength-crcDigits:]
	id, secret := body[len(prefix):len(prefix)+idDigits], body[len(prefix)+idDigits+1:]
	n, ok := number(secret)
	if _, idOK := number(id); !ok || !idOK || n.BitLen() > 256 || crc != checksum(body) {
		return Token{}, refused()
	}
	t := Token{ID: id}
	n.FillBytes(t.secret[:])
	return t, nil
}

// IsID reports whether s has the form of an id.
func IsID(s string) bool {
	_, ok := number(s)
	return ok && len(s) == idDigits
}

// Text is the token itself, to be handed to its bearer and nobody else.
func (t Token) Text() string {
	body := prefix + t.ID + "_" + digits(new(big.Int).SetBytes(t.secret[:]), secretDigits)
	return body + checksum(body)
}

// Hash is what a database with that pepper keeps of the secret.
func (t Token) Hash(pepper [32]byte) [32]byte {
	h := hmac.New(sha256.New, pepper[:])
	h.Write(t.secret[:])
	return [32]byte(h.Sum(nil))
}

// String is the token without its secret.
func (t Token) String() string { return prefix + t.ID + "_…" }

// GoString is String.
func (t Token) GoString() string { return t.String() }

// LogValue is String.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// refused is the one error of every token that does not open: who tries cannot
// tell which ids exist.
func refused() error {
	return &protocol.Error{Kind: protocol.KindUnauthenticated, Message: "the token is not valid; nothing was done",
		Hint: "It may be mistyped, expired, revoked, or of another daemon. `ospd token list` shows what there is, `ospd token create` makes a new one."}
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func power(n int64) *big.Int {
	return new(big.Int).Exp(big.NewInt(int64(len(alphabet))), big.NewInt(n), nil)
}

// digits writes n in base 62 with exactly width digits, which must be enough.
func digits(n *big.Int, width int) string {
	out := make([]byte, width)
	base, digit, rest := big.NewInt(int64(len(alphabet))), new(big.Int), new(big.Int).Set(n)
	for i := width - 1; i >= 0; i-- {
		rest.DivMod(rest, base, digit)
		out[i] = alphabet[digit.Int64()]
	}
	return string(out)
}

// number reads digits of base 62.
func number(s string) (*big.Int, bool) {
	n, base := new(big.Int), big.NewInt(int64(len(alphabet)))
	for i := range len(s) {
		d := strings.IndexByte(alphabet, s[i])
		if d < 0 {
			return nil, false
		}
		n.Mul(n, base).Add(n, big.NewInt(int64(d)))
	}
	return n, true
}

func checksum(body string) string {
	return digits(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), crcDigits)
}
