package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/pflag"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/cmd/osp/profile"
	"github.com/osproxy/osproxy/protocol"
)

// setting is a value that holds for this run and where it came from.
type setting struct {
	Value string `json:"value"`
	From  string `json:"from"`
}

// Where a value may come from, besides a flag, a variable and a profile.
const (
	fromDefault = "default"
	fromNowhere = "nowhere"
)

// How the words begin that name a variable or a token_command.
const (
	fromVariable = "variable "
	fromCommand  = "token_command of "
)

// settings are what a run works with, each of the first that says so: flag,
// variable, profile, default.
type settings struct {
	profile, server setting
	// token is what may be printed of the token.
	token setting
	// bearer gives the token itself; nil when there is none.
	bearer func(context.Context) (string, error)
	// stored is the profile as it is in the file; known says that it is there.
	stored profile.Profile
	known  bool
}

// flagSource and variableSource say where a flag's value came from.
func flagSource(flag string) string     { return "flag --" + flag }
func variableSource(flag string) string { return fromVariable + variable(flag) }

// source says where the value of a flag came from, once the environment was
// applied; typed, that it was on the command line.
func source(flags *pflag.FlagSet, flag string, typed bool) string {
	switch {
	case typed:
		return flagSource(flag)
	case flags.Changed(flag):
		return variableSource(flag)
	}
	return fromDefault
}

// settle finds out what holds for this run, once, and completes opts.server.
// A profile that was named and is not there is KindUsage.
func (s *session) settle() (*settings, error) {
	if s.settled != nil {
		return s.settled, nil
	}
	cfg, err := profile.Load(profile.DefaultPath())
	if err != nil {
		return nil, err
	}
	e := &settings{profile: s.profileName(cfg)}
	if err := profile.CheckName(e.profile.Value); err != nil {
		return nil, err
	}
	e.stored, e.known = cfg.Profiles[e.profile.Value]
	if !e.known && e.profile.From != fromDefault && !s.newProfile {
		return nil, noProfile(e.profile)
	}
	e.server = s.serverOf(e)
	if !s.newProfile {
		if err := s.settleToken(e); err != nil {
			return nil, err
		}
	}
	s.opts.server, s.settled = e.server.Value, e
	return e, nil
}

func noProfile(name setting) error {
	return &protocol.Error{Kind: protocol.KindUsage, Message: fmt.Sprintf("there is no profile %s (named by %s); nothing was done", name.Value, name.From),
		Hint: "osp profile list, or make it with: osp login -p " + name.Value}
}

func (s *session) profileName(cfg profile.Config) setting {
	switch {
	case s.opts.profile != "":
		return setting{s.opts.profile, s.profileFrom}
	case cfg.Current != "":
		return setting{cfg.Current, "current in " + profile.DefaultPath()}
	}
	return setting{profile.DefaultName, fromDefault}
}

func (s *session) serverOf(e *settings) setting {
	switch {
	case s.serverFrom != fromDefault:
		return setting{s.opts.server, s.serverFrom}
	case e.stored.Server != "":
		return setting{e.stored.Server, "profile " + e.profile.Value}
	}
	return setting{client.DefaultServer, fromDefault}
}

// Variables that give a token. There is no flag for it: command lines can be
// read by everybody on the machine.
const (
	tokenVariable     = "OSP_TOKEN"
	tokenFileVariable = "OSP_TOKEN_FILE"
)

// settleToken finds the token. The profile's is for the profile's server: with
// another one given, it is not sent there.
func (s *session) settleToken(e *settings) error {
	name := "profile " + e.profile.Value
	switch {
	case s.env[tokenVariable] != "":
		secret, err := profile.ParseSecret(s.env[tokenVariable])
		if err != nil {
			return fmt.Errorf("%s: %w", tokenVariable, err)
		}
		e.holds(secret, fromVariable+tokenVariable)
	case s.env[tokenFileVariable] != "":
		secret, err := profile.ReadSecretFile(s.env[tokenFileVariable])
		if err != nil {
			return fmt.Errorf("%s: %w", tokenFileVariable, err)
		}
		e.holds(secret, fromVariable+tokenFileVariable)
	case e.stored.Token == "" && e.stored.TokenCommand == "":
		e.token = setting{"", fromNowhere}
	case e.stored.Server != "" && !sameServer(e.stored.Server, e.server.Value):
		e.token = setting{"", fmt.Sprintf("%s (that of %s is for %s only)", fromNowhere, name, e.stored.Server)}
	case e.stored.Token != "":
		e.holds(e.stored.Token, name)
	default:
		e.bearer = newTokenCommand(e.stored.TokenCommand, e.profile.Value, s.con).token
		e.token = setting{"…", fromCommand + name}
	}
	return nil
}

func (e *settings) holds(secret profile.Secret, from string) {
	e.token = setting{secret.String(), from}
	e.bearer = func(context.Context) (string, error) { return secret.Text(), nil }
}

// sameServer reports whether two URLs lead to the same place.
func sameServer(a, b string) bool {
	ua, erra := url.Parse(a)
	ub, errb := url.Parse(b)
	return erra == nil && errb == nil && strings.EqualFold(ua.Scheme, ub.Scheme) && strings.EqualFold(ua.Host, ub.Host) &&
		strings.TrimRight(ua.Path, "/") == strings.TrimRight(ub.Path, "/")
}

// advise replaces the hint of an error that a token could mend: osp knows where
// its token came from, and the daemon does not.
func (s *session) advise(err error) error {
	kind := protocol.KindOf(err)
	if s.settled == nil || s.newProfile || kind != protocol.KindUnauthenticated && kind != protocol.KindForbidden {
		return err
	}
	e := &protocol.Error{Kind: kind, Message: err.Error(), Hint: s.loginCommand(), RequestID: requestID(err)}
	from := s.settled.token.From
	switch {
	case kind == protocol.KindForbidden && s.settled.bearer != nil:
		e.Hint = "Use a token that allows it: " + e.Hint
	case strings.HasPrefix(from, fromVariable), strings.HasPrefix(from, fromCommand):
		e.Hint = "Correct what " + strings.TrimPrefix(from, fromVariable) + " gives, or do without it: " + e.Hint
	case strings.HasPrefix(from, fromNowhere+" "):
		e.Hint = "The token of profile " + s.settled.profile.Value + " is for " + s.settled.stored.Server + "; for this server: " + e.Hint
	}
	return e
}

// loginCommand is what to type to be let in.
func (s *session) loginCommand() string { return "osp login" + s.given() }

// given are the options that name the daemon, as they were typed.
func (s *session) given() string {
	text := ""
	if s.profileFrom == flagSource("profile") {
		text += " --profile " + shellWord(s.opts.profile)
	}
	if s.serverFrom == flagSource("server") {
		text += " --server " + shellWord(s.opts.server)
	}
	return text
}
