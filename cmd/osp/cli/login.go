package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/cmd/osp/profile"
	"github.com/osproxy/osproxy/protocol"
)

func newLogin(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "login",
		Short: "Store a token for a daemon, read from standard input",
		Long: "Read a token from standard input (on a terminal: without showing it), check it with\n" +
			"the daemon, and store it with the daemon's address in a profile: that of --profile,\n" +
			"else the current one. The file is yours alone, and the token is sent to that\n" +
			"address only. A token is made with: ospd token create",
		Example:     "  osp login --server https://files.example.com\n  osp login -p ci <token-file",
		Args:        atMost(0),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return loginRun(cmd.Context(), s) },
	}
}

func loginRun(ctx context.Context, s *session) error {
	s.newProfile = true
	e, err := s.settle()
	if err != nil {
		return err
	}
	if e.stored.TokenCommand != "" {
		err := usagef("profile %s gets its token from its token_command; nothing was stored", e.profile.Value)
		err.Hint = "Remove token_command from " + profile.DefaultPath() + ", or name another profile with -p."
		return err
	}
	secret, err := s.readToken(ctx)
	if err != nil {
		return err
	}
	if err := s.checkToken(ctx, e, secret); err != nil {
		return err
	}
	current := false
	err = profile.Update(profile.DefaultPath(), func(c *profile.Config) error {
		if c.Current == "" {
			c.Current = e.profile.Value
		}
		current = c.Current == e.profile.Value
		c.Profiles[e.profile.Value] = profile.Profile{Server: e.server.Value, Token: secret}
		return nil
	})
	if err != nil {
		return err
	}
	s.con.note(fmt.Sprintf("osp: token %s for %s is stored in profile %s", secret, clean(e.server.Value), e.profile.Value))
	if !current {
		s.con.note("  to use it:  osp -p " + e.profile.Value + " ..., or always: osp profile use " + e.profile.Value)
	}
	return nil
}

// checkToken asks the daemon whether it knows the token. One that may not list
// files is known all the same.
func (s *session) checkToken(ctx context.Context, e *settings, secret profile.Secret) error {
	e.holds(secret, "standard input")
	c, err := s.client()
	if err != nil {
		return err
	}
	caps, err := c.Capabilities(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(caps.Features, protocol.FeatureTokens) {
		s.warn("the daemon at " + e.server.Value + " lets everybody in, so whether the token is good cannot be said")
	}
	_, err = c.Files(ctx, client.FileQuery{Limit: 1})
	switch protocol.KindOf(err) {
	case protocol.KindForbidden:
		return nil
	case protocol.KindUnauthenticated:
		return &protocol.Error{Kind: protocol.KindUnauthenticated, Message: "the daemon at " + e.server.Value + " does not know this token; nothing was stored",
			Hint: "Ask for a token where the daemon runs: ospd token create", RequestID: requestID(err)}
	}
	return err
}

// readToken reads the token from standard input. On a terminal it asks, and
// shows nothing of what is typed.
func (s *session) readToken(ctx context.Context) (profile.Secret, error) {
	type read struct {
		secret profile.Secret
		err    error
	}
	source := func() (profile.Secret, error) { return profile.ReadSecret(s.in) }
	restore := func() {}
	if f, ok := s.in.(*os.File); ok && isTerminal(s.in) {
		state, err := term.GetState(int(f.Fd()))
		if err != nil {
			return "", &protocol.Error{Kind: protocol.KindLocalIO, Message: "the terminal cannot be used", Err: err}
		}
		restore = func() { _ = term.Restore(int(f.Fd()), state) }
		fmt.Fprint(s.con.err, "Token (it is not shown): ")
		source = func() (profile.Secret, error) { return typed(f, s.con.err) }
	}
	done := make(chan read, 1)
	go func() { // a read cannot be given up; after a signal the process ends anyway
		secret, err := source()
		done <- read{secret, err}
	}()
	select {
	case r := <-done:
		return r.secret, r.err
	case <-ctx.Done():
		restore()
		return "", context.Cause(ctx)
	}
}

func typed(terminal *os.File, prompt io.Writer) (profile.Secret, error) {
	text, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(prompt)
	if err != nil {
		return "", &protocol.Error{Kind: protocol.KindLocalIO, Message: "the token could not be read", Err: err}
	}
	return profile.ParseSecret(string(text))
}

func newLogout(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Forget the stored token of a profile",
		Long: "Forget the stored token of a profile: that of --profile, else the current one. Its\n" +
			"server is kept. The token itself stays good until it is revoked: ospd token revoke",
		Example:     "  osp logout\n  osp logout -p ci",
		Args:        atMost(0),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE:        func(*cobra.Command, []string) error { return logoutRun(s) },
	}
}

func logoutRun(s *session) error {
	// What is in the variables plays no part: only the file changes.
	cfg, err := profile.Load(profile.DefaultPath())
	if err != nil {
		return err
	}
	name := s.profileName(cfg)
	stored, known := cfg.Profiles[name.Value]
	switch {
	case !known && name.From != fromDefault:
		return noProfile(name)
	case stored.Token == "":
		s.con.note("osp: profile " + clean(name.Value) + " holds no token")
		return nil
	}
	err = profile.Update(profile.DefaultPath(), func(c *profile.Config) error {
		stored := c.Profiles[name.Value]
		stored.Token = ""
		c.Profiles[name.Value] = stored
		return nil
	})
	if err == nil {
		s.con.note("osp: the token of profile " + name.Value + " is forgotten")
	}
	return err
}
