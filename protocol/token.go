package protocol

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Scope is one thing that a token allows. None includes another: a token that
// may write may not read unless it says so too.
type Scope string

// The scopes a token can have.
const (
	// ScopeFileRead lists and reads files, and uploads in the making.
	ScopeFileRead Scope = "file:read"
	// ScopeFileWrite puts files, and changes what is said about them.
	ScopeFileWrite Scope = "file:write"
	// ScopeFileDelete deletes files.
	ScopeFileDelete Scope = "file:delete"
	// ScopeLinkCreate signs links.
	ScopeLinkCreate Scope = "link:create"
	// ScopeWebhookManage makes webhooks of the owner's and removes them: what one
	// sends goes on when the token that made it has ended.
	ScopeWebhookManage Scope = "webhook:manage"
	// ScopeAdmin runs the installation: it makes and revokes tokens, of any
	// owner and with any scope.
	ScopeAdmin Scope = "admin"
)

var scopes = [...]Scope{ScopeFileRead, ScopeFileWrite, ScopeFileDelete, ScopeLinkCreate, ScopeWebhookManage, ScopeAdmin}

// AllScopes returns every scope there is, in order. The caller must not change
// it.
func AllScopes() Scopes { return scopes[:] }

// Scopes is what a token allows.
type Scopes []Scope

// Has reports whether s is one of them.
func (l Scopes) Has(s Scope) bool { return slices.Contains(l, s) }

// String is the scopes with commas between, as `ospd token create` takes them.
func (l Scopes) String() string {
	words := make([]string, len(l))
	for i, s := range l {
		words[i] = string(s)
	}
	return strings.Join(words, ",")
}

// MarshalJSON makes nil an empty list.
func (l Scopes) MarshalJSON() ([]byte, error) { return json.Marshal(list([]Scope(l))) }

// CheckScopes refuses a list that is empty, or has a scope that does not exist
// or is there twice: KindBadRequest.
func CheckScopes(l Scopes) error {
	known := "Scopes are " + strings.ReplaceAll(AllScopes().String(), ",", ", ") + "."
	if len(l) == 0 {
		return &Error{Kind: KindBadRequest, Message: "a token needs at least one scope", Hint: known}
	}
	for i, s := range l {
		switch {
		case !AllScopes().Has(s):
			e := Errorf(KindBadRequest, "there is no scope %.40q", string(s))
			e.Hint = known
			return e
		case l[:i].Has(s):
			return Errorf(KindBadRequest, "the scope %s is given twice", s)
		}
	}
	return nil
}

// MaxOwner bounds the name of an owner, and MaxTokenNote the note of a token,
// in bytes.
const (
	MaxOwner     = 64
	MaxTokenNote = 255
)

// CheckOwner accepts 1 to 64 of [A-Za-z0-9._@-]; any other name is
// KindBadRequest.
func CheckOwner(o Owner) error {
	if len(o) < 1 || len(o) > MaxOwner || strings.ContainsFunc(string(o), func(c rune) bool { return c != '@' && notWord(c) }) {
		e := Errorf(KindBadRequest, "%.80q is no name of an owner", string(o))
		e.Hint = "A name is 1 to 64 of A-Z a-z 0-9 . _ @ -."
		return e
	}
	return nil
}

// CheckTokenNote accepts up to 255 bytes of text in one line; anything else is
// KindBadRequest.
func CheckTokenNote(s string) error {
	if len(s) > MaxTokenNote || !utf8.ValidString(s) || strings.ContainsFunc(s, isControl) {
		return Errorf(KindBadRequest, "a note is one line of at most %d bytes", MaxTokenNote)
	}
	return nil
}

// Token is what is known of a token, but for its secret, which nobody is told
// twice.
type Token struct {
	// ID is the part of the token that is no secret.
	ID     string  `json:"id"`
	Owner  Owner   `json:"owner"`
	Scopes Scopes  `json:"scopes"`
	Note   *string `json:"note"`

	CreatedAt Time `json:"created_at"`
	// UsedAt is when it was last used, to some minutes.
	UsedAt    *Time `json:"used_at"`
	ExpiresAt *Time `json:"expires_at"`
	// RevokedAt is set for good once the token was revoked.
	RevokedAt *Time `json:"revoked_at"`
}

// CreateToken asks for a token (POST /v1/tokens). Owner and Scopes are
// required. The answer is 201 with a CreatedToken.
type CreateToken struct {
	Owner     Owner   `json:"owner"`
	Scopes    Scopes  `json:"scopes"`
	Note      *string `json:"note"`
	ExpiresAt *Time   `json:"expires_at"`
}

// CreatedToken is the one answer that has the token itself.
type CreatedToken struct {
	// Secret is the whole token, to be sent as Authorization: Bearer.
	Secret string `json:"token"`
	Token
}

// TokenList is the answer of GET /v1/tokens[?owner=NAME]: every token, revoked
// and expired ones too, by owner and id.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// MarshalJSON makes nil Tokens an empty list.
func (l TokenList) MarshalJSON() ([]byte, error) {
	type plain TokenList
	l.Tokens = list(l.Tokens)
	return json.Marshal(plain(l))
}
