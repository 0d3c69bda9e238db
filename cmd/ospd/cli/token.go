package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/protocol"
)

func newToken(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke the tokens of an installation",
		Long: "Make, list and revoke the tokens of an installation, whether its daemon runs or\n" +
			"not; a running one knows within 5 seconds. After an upgrade start the new ospd\n" +
			"first: a database that an older one made is not changed under its daemon.\n\n" +
			"Once the first token was made, requests need one, but for those by links and from\n" +
			"the addresses of v0_access. Links that " + strconv.Quote(string(protocol.OwnerLocal)) + " has by then end.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("token: say create, list or revoke")}
		},
	}
	cmd.AddCommand(newTokenCreate(e), newTokenList(e), newTokenRevoke(e))
	return cmd
}

// withTokens opens the installation's tokens for use.
func withTokens(ctx context.Context, e *env, config *configFlags, create bool, use func(context.Context, *daemon.Tokens) error) error {
	cfg, err := config.own(e)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, e.stderr)
	defer stop()
	tokens, err := daemon.OpenTokens(ctx, cfg, create, newLogger(e.stderr, false))
	if err != nil {
		return err
	}
	return errors.Join(use(ctx, tokens), tokens.Close())
}

type tokenCreateOptions struct {
	config                       *configFlags
	owner, scopes, expires, note string
	first                        bool
}

func newTokenCreate(e *env) *cobra.Command {
	o := &tokenCreateOptions{}
	cmd := &cobra.Command{
		Use:   "create --owner NAME --scopes SCOPE,...",
		Short: "Make a token and print it, this once",
		Long: "Make a token and print it on standard output, this once: only a hash of it is\n" +
			"kept. Its owner sees the files of that name alone; what was stored while there\n" +
			"were no tokens belongs to " + strconv.Quote(string(protocol.OwnerLocal)) + ".\n\n" +
			"Scopes, none of which includes another:\n" +
			"  file:read       list and read files\n" +
			"  file:write      put files, change their name, type, metadata and expiry\n" +
			"  file:delete     delete files\n" +
			"  link:create     sign links\n" +
			"  webhook:manage  make webhooks, to which events of files are sent\n" +
			"  admin           make and revoke tokens, of any owner",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTokenCreate(cmd.Context(), e, o) },
	}
	o.config = addConfigFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.owner, "owner", "", "`NAME` of whom the token belongs to")
	f.StringVar(&o.scopes, "scopes", "", "what it allows: `SCOPE,...` of "+protocol.AllScopes().String())
	f.StringVar(&o.expires, "expires", "", "when it ends: 90d, 12h, or a `TIME` like 2027-01-31T00:00:00Z; never, unless given")
	f.BoolVar(&o.first, "first", false, "make it only where there is no token yet, else do nothing (for installations that set themselves up)")
	f.StringVar(&o.note, "note", "", "`TEXT` that says what it is for, shown in the list")
	return cmd
}

func runTokenCreate(ctx context.Context, e *env, o *tokenCreateOptions) error {
	create := protocol.CreateToken{Owner: protocol.Owner(o.owner)}
	if o.owner == "" {
		return usageError{errors.New("token create: --owner is missing")}
	}
	if o.scopes == "" {
		return usageError{fmt.Errorf("token create: --scopes is missing; they are %s", protocol.AllScopes())}
	}
	for word := range strings.SplitSeq(o.scopes, ",") {
		create.Scopes = append(create.Scopes, protocol.Scope(strings.TrimSpace(word)))
	}
	if o.note != "" {
		create.Note = &o.note
	}
	if o.expires != "" {
		at, err := parseExpiry(o.expires, time.Now())
		if err != nil {
			return usageError{fmt.Errorf("token create: --expires: %w", err)}
		}
		create.ExpiresAt = &at
	}
	return withTokens(ctx, e, o.config, true, func(ctx context.Context, tokens *daemon.Tokens) error {
		made, first, err := makeToken(ctx, tokens, o.first, create)
		if err != nil {
			return tokenError("token create", err)
		}
		if o.first && !first {
			fmt.Fprintln(e.stderr, "ospd: there is a token already; none was made")
			return nil
		}
		if first {
			fmt.Fprintf(e.stderr, "ospd: this is the first token: from now on (within 5 seconds, where a daemon runs) requests need one, but for those by links and from the addresses of v0_access; "+
				"files stored before belong to %q, whose links made before end\n", protocol.OwnerLocal)
		}
		if _, err := fmt.Fprintln(e.stdout, made.Secret); err != nil {
			// Nobody has it, so nobody may use it.
			return errors.Join(fmt.Errorf("print the token: %w", err), tokens.Revoke(context.WithoutCancel(ctx), made.ID))
		}
		return nil
	})
}

// makeToken makes a token, and says whether it is the first. With only it makes
// no other.
func makeToken(ctx context.Context, tokens *daemon.Tokens, only bool, c protocol.CreateToken) (made protocol.CreatedToken, first bool, err error) {
	if only {
		return tokens.CreateFirst(ctx, c)
	}
	if first, err = tokens.Open(ctx); err == nil {
		made, err = tokens.Create(ctx, c)
	}
	return made, first, err
}

// parseExpiry reads days (90d), a duration of Go (12h) or a time.
func parseExpiry(s string, now time.Time) (protocol.Time, error) {
	var at protocol.Time
	if at.UnmarshalText([]byte(s)) == nil {
		return at, nil
	}
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int64
		if n, err = strconv.ParseInt(days, 10, 64); err == nil && n > math.MaxInt64/int64(24*time.Hour) {
			err = strconv.ErrRange
		}
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil {
		return at, fmt.Errorf("%q is neither a number of days like 90d, nor a duration like 12h, nor a time like 2027-01-31T00:00:00Z", s)
	}
	if d <= 0 {
		return at, fmt.Errorf("%q has passed when the token is made", s)
	}
	return protocol.TimeOf(now.Add(d)), nil
}

// tokenError makes what the caller wrote wrong a usage error, with its hint.
func tokenError(verb string, err error) error {
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok {
		return err
	}
	said := fmt.Errorf("%s: %w", verb, err)
	if e.Hint != "" {
		said = fmt.Errorf("%w\n%s", said, e.Hint)
	}
	if e.Kind == protocol.KindBadRequest {
		return usageError{said}
	}
	return said
}

func newTokenList(e *env) *cobra.Command {
	var owner string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tokens, without their secrets; revoked and expired ones too",
		Args:  cobra.NoArgs,
	}
	config := addConfigFlags(cmd)
	cmd.Flags().StringVar(&owner, "owner", "", "only those of this `NAME`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withTokens(cmd.Context(), e, config, false, func(ctx context.Context, tokens *daemon.Tokens) error {
			list, err := tokens.List(ctx, protocol.Owner(owner))
			if err != nil {
				return err
			}
			if asJSON {
				return printTokensJSON(e, list.Tokens)
			}
			return printTokens(e, list.Tokens, time.Now())
		})
	}
	return cmd
}

func printTokensJSON(e *env, tokens []protocol.Token) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	for _, t := range tokens {
		if err := enc.Encode(t); err != nil {
			return fmt.Errorf("print the tokens: %w", err)
		}
	}
	return nil
}

func printTokens(e *env, tokens []protocol.Token, now time.Time) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tOWNER\tSCOPES\tSTATE\tCREATED\tUSED\tEXPIRES\tNOTE")
	for _, t := range tokens {
		state := "valid"
		switch {
		case t.RevokedAt != nil:
			state = "revoked"
		case t.ExpiresAt != nil && !now.Before(t.ExpiresAt.Time):
			state = "expired"
		}
		note := "-"
		if t.Note != nil {
			note = *t.Note
		}
		fmt.Fprintln(w, strings.Join([]string{t.ID, string(t.Owner), t.Scopes.String(), state,
			day(&t.CreatedAt), day(t.UsedAt), day(t.ExpiresAt), note}, "\t"))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the tokens: %w", err)
	}
	return nil
}

func day(t *protocol.Time) string {
	if t == nil {
		return "never"
	}
	return t.Format(time.DateOnly)
}

func newTokenRevoke(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a token for ever; a running daemon refuses it within 5 seconds",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("token revoke: give one id, as `ospd token list` shows it")}
			}
			return nil
		},
	}
	config := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withTokens(cmd.Context(), e, config, false, func(ctx context.Context, tokens *daemon.Tokens) error {
			return tokenError("token revoke", tokens.Revoke(ctx, args[0]))
		})
	}
	return cmd
}
