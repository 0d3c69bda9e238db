package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/osproxy/osproxy/cmd/osp/profile"
	"github.com/osproxy/osproxy/protocol"
)

// tokenCommandTime bounds one run of a token_command. It may ask a person.
const tokenCommandTime = time.Minute

// tokenCommand is the token that a profile's token_command prints. The command
// runs when the token is first needed, and once.
type tokenCommand struct {
	line, profile string
	limit         time.Duration
	con           *console

	asking chan struct{} // of 1: full while the command runs, or its outcome is looked at
	ran    bool
	secret profile.Secret
	err    error
}

func newTokenCommand(line, name string, con *console) *tokenCommand {
	return &tokenCommand{line: line, profile: name, limit: tokenCommandTime, con: con, asking: make(chan struct{}, 1)}
}

// token is client.Config.Token. What the run's own end interrupted is not
// remembered.
func (c *tokenCommand) token(ctx context.Context) (string, error) {
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if !c.ran {
		secret, err := c.run(ctx)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		c.ran, c.secret, c.err = true, secret, err
	}
	return c.secret.Text(), c.err
}

// run gives the command no input, since osp's may be the file to put, and lets
// it speak to the person on standard error.
func (c *tokenCommand) run(ctx context.Context) (profile.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", c.line)
	var out limited
	cmd.Stdout, cmd.Stderr = &out, c.con.errors()
	// What the command left running may hold its output open.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", c.failed(fmt.Sprintf("gave no token within %s", c.limit), nil)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", c.failed("failed", err)
	}
	secret, err := profile.ParseSecret(string(out.data))
	if err != nil {
		return "", c.failed("printed no token", err)
	}
	return secret, nil
}

// failed does not repeat the command, which may hold a secret.
func (c *tokenCommand) failed(how string, err error) error {
	return &protocol.Error{Kind: protocol.KindUnauthenticated, Message: fmt.Sprintf("token_command of profile %s %s; nothing was sent", c.profile, how), Err: err}
}

// limited keeps the first bytes of what is written to it: more than any token
// has.
type limited struct{ data []byte }

const limitedSize = 64 << 10

// Write takes all of p and never fails.
func (l *limited) Write(p []byte) (int, error) {
	l.data = append(l.data, p[:min(len(p), limitedSize-len(l.data))]...)
	return len(p), nil
}
