package profile

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// maxToken bounds a token that is read; no daemon makes one that long.
const maxToken = 4096

// Secret is a token. It prints without what makes it one: Text alone gives
// that away.
type Secret string

// ParseSecret reads a token as a person or a program gives it: spaces and line
// ends around it are dropped. What no header can carry is KindUsage, in words
// that do not repeat it; whether the token is any good, a daemon has to say.
func ParseSecret(text string) (Secret, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", protocol.Errorf(protocol.KindUsage, "no token was given")
	case len(text) > maxToken:
		return "", protocol.Errorf(protocol.KindUsage, "what was given is longer than any token")
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }):
		return "", protocol.Errorf(protocol.KindUsage, "what was given is no token: a token is one word of visible ASCII")
	}
	return Secret(text), nil
}

// ReadSecret reads a token from r.
func ReadSecret(r io.Reader) (Secret, error) {
	data, err := io.ReadAll(io.LimitReader(r, 2*maxToken))
	if err != nil {
		return "", &protocol.Error{Kind: protocol.KindLocalIO, Message: "the token could not be read", Err: err}
	}
	return ParseSecret(string(data))
}

// ReadSecretFile reads a token from a file of its own. One that others can
// read is KindUsage, and so is one that cannot be read.
func ReadSecretFile(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", unreadable(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", unreadable(path, err)
	}
	if othersMay(info, readable|writable) {
		return "", exposed(path, info, "holds a token, and others may read it")
	}
	secret, err := ReadSecret(f)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return secret, nil
}

func unreadable(path string, err error) error {
	return &protocol.Error{Kind: protocol.KindUsage, Message: path + " cannot be read", Err: err}
}

// What others, the group among them, may do with a file.
const (
	readable fs.FileMode = 0o044
	writable fs.FileMode = 0o022
)

// exposed refuses a file because of its mode.
func exposed(path string, info os.FileInfo, why string) error {
	return &protocol.Error{Kind: protocol.KindUsage,
		Message: fmt.Sprintf("%s %s (its mode is %04o); nothing was done", path, why, info.Mode().Perm()),
		Hint:    "chmod 600 " + path}
}

// Text is the token itself, for the header of a request and for nothing else.
func (s Secret) Text() string { return string(s) }

// tokenForm is a token as daemons make it, with what is no secret in front.
const tokenForm = `^(osp_[0-9A-Za-z]{12}_)[0-9A-Za-z]{49}$`

// String is the token's id, which is no secret, where it has the form of a
// token; else nothing of it.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	if m := regexp.MustCompile(tokenForm).FindStringSubmatch(string(s)); m != nil {
		return m[1] + "…"
	}
	return "…"
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
