package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/cmd/osp/profile"
)

func newProfile(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Look at profiles, and choose the current one",
		Long: "Look at profiles: which server, and where its token comes from. osp login makes one.\n" +
			"They are in config.yaml, which may be edited; its form is\n\n" +
			"    current: work\n" +
			"    profiles:\n" +
			"      work:\n" +
			"        server: https://files.example.com\n" +
			"        token_command: pass show osp\n\n" +
			"token_command is run by sh when a token is needed, and prints it. A token, stored or\n" +
			"printed, is sent to the profile's server only. Tokens are never shown, only their ids.",
		Example: "  osp profile list\n  osp profile show --effective",
		Args:    noVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newProfileList(s), newProfileUse(), newProfileShow(s))
	return cmd
}

// profileLine is what --json prints of a profile. What it does not have is
// null.
type profileLine struct {
	Name    string  `json:"name"`
	Current bool    `json:"current"`
	Server  *string `json:"server"`
	// Token is the token's id.
	Token        *string `json:"token"`
	TokenCommand bool    `json:"token_command"`
}

func lineOf(name string, p profile.Profile, current bool) profileLine {
	return profileLine{Name: name, Current: current, Server: orNull(p.Server), Token: orNull(p.Token.String()), TokenCommand: p.TokenCommand != ""}
}

// tokenText says for people where the profile's token comes from.
func (l profileLine) tokenText() string {
	switch {
	case l.TokenCommand:
		return "from its token_command"
	case l.Token != nil:
		return *l.Token
	}
	return "none"
}

func (l profileLine) serverText() string {
	if l.Server == nil {
		return "any"
	}
	return clean(*l.Server)
}

func newProfileList(s *session) *cobra.Command {
	return &cobra.Command{
		Use:         "list",
		Short:       "List profiles; the current one has a *",
		Long:        "List profiles, each with its server and where its token comes from. The current one has\na *; with -q the names alone.",
		Example:     "  osp profile list",
		Args:        atMost(0),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(*cobra.Command, []string) error {
			cfg, err := profile.Load(profile.DefaultPath())
			if err != nil {
				return err
			}
			current := s.profileName(cfg).Value
			var lines []profileLine
			for _, name := range slices.Sorted(maps.Keys(cfg.Profiles)) {
				lines = append(lines, lineOf(name, cfg.Profiles[name], name == current))
			}
			s.printProfiles(lines)
			return nil
		},
	}
}

func (s *session) printProfiles(lines []profileLine) {
	if s.opts.json {
		for _, l := range lines {
			s.con.result(marshal(l))
		}
		return
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		mark := " "
		if l.Current {
			mark = "*"
		}
		if s.opts.quiet {
			fmt.Fprintln(w, l.Name)
		} else {
			fmt.Fprintf(w, "%s %s\t%s\ttoken %s\n", mark, l.Name, l.serverText(), l.tokenText())
		}
	}
	_ = w.Flush() // into memory
	if b.Len() > 0 {
		s.con.result([]byte(strings.TrimSuffix(b.String(), "\n")))
	}
}

func newProfileUse() *cobra.Command {
	return &cobra.Command{
		Use:         "use NAME",
		Short:       "Make a profile the current one",
		Long:        "Make a profile the one that holds where neither -p nor OSP_PROFILE names another.",
		Example:     "  osp profile use work",
		Args:        oneName,
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(_ *cobra.Command, args []string) error {
			return profile.Update(profile.DefaultPath(), func(c *profile.Config) error {
				if err := profile.CheckName(args[0]); err != nil {
					return err
				}
				if _, known := c.Profiles[args[0]]; !known {
					return noProfile(setting{args[0], "argument"})
				}
				c.Current = args[0]
				return nil
			})
		},
	}
}

func newProfileShow(s *session) *cobra.Command {
	effective := false
	cmd := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Print a profile, or with --effective what holds and why",
		Long: "Print a profile: NAME, else the one that holds. With --effective print what a verb would\n" +
			"work with now, and where each value comes from: flag, variable, profile or default.",
		Example:     "  osp profile show\n  osp profile show --effective --server http://127.0.0.1:9999",
		Args:        atMost(1),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				s.opts.profile, s.profileFrom = args[0], "argument"
			}
			if effective {
				return s.showEffective()
			}
			return s.showProfile()
		},
	}
	cmd.Flags().BoolVar(&effective, "effective", false, "print what holds for a verb now, and where from")
	return cmd
}

// oneName refuses all but one argument.
func oneName(cmd *cobra.Command, args []string) error {
	if err := atLeastOne("NAME")(cmd, args); err != nil {
		return err
	}
	return atMost(1)(cmd, args)
}

func (s *session) showProfile() error {
	cfg, err := profile.Load(profile.DefaultPath())
	if err != nil {
		return err
	}
	name := s.profileName(cfg)
	p, known := cfg.Profiles[name.Value]
	if !known {
		return noProfile(name)
	}
	l := lineOf(name.Value, p, name.Value == cfg.Current)
	if s.opts.json {
		s.con.result(marshal(l))
		return nil
	}
	s.con.result([]byte(fields([][2]string{{"profile", l.Name}, {"server", l.serverText()}, {"token", l.tokenText()}})))
	return nil
}

// effectiveLine is what --json prints of what holds.
type effectiveLine struct {
	Config  string  `json:"config"`
	Profile setting `json:"profile"`
	Server  setting `json:"server"`
	// Token's value is the token's id.
	Token setting `json:"token"`
}

func (s *session) showEffective() error {
	e, err := s.settle()
	if err != nil {
		return err
	}
	l := effectiveLine{Config: profile.DefaultPath(), Profile: e.profile, Server: e.server, Token: e.token}
	if s.opts.json {
		s.con.result(marshal(l))
		return nil
	}
	text := func(v setting) string { return strings.TrimSpace(v.Value + "  (" + v.From + ")") }
	s.con.result([]byte(fields([][2]string{{"profile", text(l.Profile)}, {"server", text(l.Server)}, {"token", text(l.Token)}, {"config", l.Config}})))
	return nil
}
