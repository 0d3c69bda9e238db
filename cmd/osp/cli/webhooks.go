package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

func newWebhooks(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Have events sent to an address",
		Long: "Have what happens to your files sent to an address: signed, at least once, and in order\n" +
			"for each file. The daemon must be allowed to reach the address: https, and not in a\n" +
			"private network, unless its operator says otherwise.",
		Example: "  osp admin webhooks add https://example.com/hook\n  osp admin webhooks test 3",
		Args:    noVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newWebhooksAdd(s), newWebhooksList(s), newWebhooksTest(s), newWebhooksRemove(s), newWebhooksReplay(s))
	return cmd
}

func newWebhooksAdd(s *session) *cobra.Command {
	var events []string
	create := protocol.CreateWebhook{}
	var note string
	cmd := &cobra.Command{
		Use:   "add URL",
		Short: "Make a webhook and print its secret, this once",
		Long: "Make a webhook and print its secret, this once: the receiver checks signatures with it.\n" +
			"It gets the events of your files from now on. With -q its id and secret, with a tab\n" +
			"between.",
		Example:     "  osp admin webhooks add https://example.com/hook --events file.committed",
		Args:        exactlyOne("URL"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			create.URL = args[0]
			if len(events) == 0 {
				create.Events = protocol.EventKinds()
			}
			for _, word := range events {
				create.Events = append(create.Events, protocol.EventKind(strings.TrimSpace(word)))
			}
			if err := protocol.CheckEventKinds(create.Events); err != nil {
				return err
			}
			if note != "" {
				create.Note = &note
			}
			return s.addWebhook(cmd.Context(), create)
		},
	}
	cmd.Flags().StringSliceVar(&events, "events", nil, "send these, all unless given: `EVENT,...`")
	cmd.Flags().BoolVar(&create.Everything, "everything", false, "send those of all owners, and of none; needs the scope admin")
	cmd.Flags().StringVar(&note, "note", "", "`TEXT` that says what it is for, shown in the list")
	return cmd
}

func (s *session) addWebhook(ctx context.Context, create protocol.CreateWebhook) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	made, err := c.CreateWebhook(ctx, create)
	if err != nil {
		return stopped(ctx, err)
	}
	switch {
	case s.opts.json:
		s.con.result(marshal(made))
	case s.opts.quiet:
		s.con.result([]byte(made.Webhook.ID.String() + "\t" + made.Secret))
	default:
		s.con.result([]byte(fields([][2]string{
			{"webhook", made.Webhook.ID.String()}, {"url", made.Webhook.URL}, {"events", kindsText(made.Webhook)}, {"secret", made.Secret},
		})))
	}
	return nil
}

func newWebhooksList(s *session) *cobra.Command {
	return &cobra.Command{
		Use:         "list",
		Short:       "List webhooks, and how they fare",
		Long:        "List webhooks, and how they fare: how many events are on their way, and how many were\ngiven up. With -q their ids alone, with --json one Webhook a line.",
		Example:     "  osp admin webhooks list",
		Args:        atMost(0),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			list, err := c.Webhooks(cmd.Context())
			if err != nil {
				return stopped(cmd.Context(), err)
			}
			if s.opts.json {
				for _, w := range list.Webhooks {
					s.con.result(marshal(w))
				}
			} else if len(list.Webhooks) > 0 {
				s.con.result([]byte(s.webhookTable(list.Webhooks)))
			}
			return nil
		},
	}
}

func newWebhooksTest(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "test WEBHOOK",
		Short: "Send a message that means nothing, now",
		Long: "Send a message of type webhook.test, now and once, and print what became of it. Where it\n" +
			"does not arrive the exit code is 1.",
		Example:     "  osp admin webhooks test 3",
		Args:        exactlyOne("WEBHOOK"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.aboutWebhook(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id protocol.WebhookID) error {
				t, err := c.TestWebhook(ctx, id)
				if err != nil {
					return err
				}
				if s.opts.json {
					s.con.result(marshal(t))
				} else if t.Status != nil {
					s.con.result(fmt.Appendf(nil, "%s\t%d", id, *t.Status))
				}
				if !t.OK {
					return fmt.Errorf("the message did not arrive: %s", valueOr(t.Error, "no reason is known"))
				}
				return nil
			})
		},
	}
}

func newWebhooksRemove(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove WEBHOOK",
		Short: "Remove a webhook",
		Long: "Remove a webhook: nothing is sent to it any more, and what was on its way is forgotten. On a\n" +
			"terminal osp asks first; elsewhere -y is needed.",
		Example:     "  osp admin webhooks remove 3 -y",
		Args:        exactlyOne("WEBHOOK"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.aboutWebhook(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id protocol.WebhookID) error {
				if !yes {
					if err := s.confirm(ctx, fmt.Sprintf("Remove webhook %s, with what is on its way to it?", id)); err != nil {
						return err
					}
				}
				return c.RemoveWebhook(ctx, id)
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func newWebhooksReplay(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "replay WEBHOOK",
		Short: "Have events sent that were given up",
		Long: "Have events sent again that were given up: they could not be sent for too long, or\n" +
			"the endpoint said that it is gone. They have their old ids. How many there are is\n" +
			"printed.",
		Example:     "  osp admin webhooks replay 3",
		Args:        exactlyOne("WEBHOOK"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.aboutWebhook(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id protocol.WebhookID) error {
				r, err := c.ReplayWebhook(ctx, id)
				if err != nil {
					return err
				}
				if s.opts.json {
					s.con.result(marshal(r))
				} else {
					s.con.result(fmt.Appendf(nil, "%s\t%d", id, r.Replayed))
				}
				return nil
			})
		},
	}
}

// aboutWebhook does something about the webhook that the argument names.
func (s *session) aboutWebhook(ctx context.Context, arg string, do func(context.Context, *client.Client, protocol.WebhookID) error) error {
	id, err := protocol.ParseWebhookID(arg)
	if err != nil {
		return usagef("%v", err)
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	return stopped(ctx, do(ctx, c, id))
}
