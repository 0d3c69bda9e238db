package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// linkOptions are the flags of link.
type linkOptions struct {
	expires, notBefore, name, mediaType string
	maxSize                             byteCount
	upload, inline, revoke, all, yes    bool
}

func newLink(s *session) *cobra.Command {
	o := &linkOptions{}
	cmd := &cobra.Command{
		Use:   "link UID...",
		Short: "Sign links, with which others get a file or put one",
		Long: "Sign links: addresses with which somebody without a token gets one file, or puts one,\n" +
			"until they end. For each a line is printed: its address, for --upload the uid that the\n" +
			"file will have, a tab, and the address; with -q the address alone; with --json its Link\n" +
			"object. Whoever has a link can use it: pass it on like a password.\n\n" +
			"A file that is deleted takes its links along. --revoke ends the links of files that\n" +
			"stay, --revoke-all all of yours.",
		Example: "  osp link 381270594817523712 --expires 15m\n" +
			"  osp link --upload inbox/report.pdf --expires 1h --max-size 10M\n" +
			"  osp link --revoke 381270594817523712",
		Annotations: map[string]string{printsObjects: "yes"},
		RunE:        func(cmd *cobra.Command, args []string) error { return linkRun(cmd.Context(), s, args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.expires, "expires", "15m", "when the links end: `WHEN` is a duration like 15m or 7d, or a time")
	f.StringVar(&o.notBefore, "not-before", "", "when they begin: `WHEN` is a duration from now on, or a time")
	f.StringVar(&o.name, "name", "", "save the file as `NAME`, in place of its own")
	f.BoolVar(&o.inline, "inline", false, "have browsers show it, where its type is safe to show")
	f.BoolVar(&o.upload, "upload", false, "take names in place of uids: each link puts one file of that name")
	f.StringVar(&o.mediaType, "media-type", "", "the media `TYPE` of the file, whatever its own or its sender says")
	f.Var(&o.maxSize, "max-size", "the most `BYTES` that a link of --upload takes: 5000000, 10M, 1.5MiB")
	f.BoolVar(&o.revoke, "revoke", false, "end the links of these files that were signed by now")
	f.BoolVar(&o.all, "revoke-all", false, "end all of your links that were signed by now")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func linkRun(ctx context.Context, s *session, args []string, o *linkOptions) error {
	switch {
	case o.all && (o.revoke || o.upload || len(args) > 0):
		return usagef("--revoke-all ends all links, and takes neither uids nor --revoke nor --upload")
	case o.all:
		return revokeAll(ctx, s, o.yes)
	case len(args) == 0 && o.upload:
		return usagef("NAME is missing")
	case len(args) == 0:
		return usagef("UID is missing")
	case o.revoke && o.upload:
		return usagef("--revoke takes uids, those of links to put too, and not --upload")
	case o.revoke:
		return revoke(ctx, s, args)
	}
	links, err := o.links(args, s.now())
	if err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	for from := 0; from < len(links); from += protocol.MaxLinks {
		through := min(from+protocol.MaxLinks, len(links))
		signed, err := c.CreateLinks(ctx, links[from:through], "")
		if err != nil {
			return stopped(ctx, ofArgument(err, args[from:through], from))
		}
		for _, l := range signed {
			s.printLink(l)
		}
	}
	return nil
}

// ofArgument has an error name the argument that it is about, which the daemon
// knows as a number within its request, and say how many of those before are
// signed.
func ofArgument(err error, args []string, before int) error {
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok {
		return err
	}
	rest, numbered := strings.CutPrefix(e.Message, "links[")
	number, message, _ := strings.Cut(rest, "]: ")
	n, notNumber := strconv.Atoi(number)
	if !numbered || notNumber != nil || n < 0 || n >= len(args) {
		return err
	}
	which := *e
	which.Message = args[n] + ": " + message
	if before > 0 {
		which.Message += fmt.Sprintf(", but the %d before, which are printed", before)
	}
	return &which
}

func (s *session) printLink(l protocol.Link) {
	switch {
	case s.opts.json:
		s.con.result(marshal(l))
	case s.opts.quiet || l.Action == protocol.LinkGet:
		s.con.result([]byte(l.URL))
	default:
		s.con.result([]byte(l.UID.String() + "\t" + l.URL))
	}
}

// links is what is asked for. A duration goes as it is: the clock that counts is
// the daemon's.
func (o *linkOptions) links(args []string, now time.Time) (links []protocol.NewLink, err error) {
	one := protocol.NewLink{Action: protocol.LinkGet}
	if one.ExpiresIn, one.ExpiresAt, err = lifeOf(o.expires, now); err != nil {
		return nil, err
	}
	if one.NotBefore, err = expiryOf("--not-before", o.notBefore, now); err != nil {
		return nil, err
	}
	if o.mediaType != "" {
		one.MediaType = &o.mediaType
	}
	if o.upload {
		return o.toPut(args, one)
	}
	if o.maxSize.given {
		return nil, usagef("--max-size is for --upload")
	}
	if o.name != "" {
		one.Name = &o.name
	}
	if o.inline {
		inline := protocol.DispositionInline
		one.Disposition = &inline
	}
	ids, err := uids(args)
	for _, uid := range ids {
		l := one
		l.UID = &uid
		links = append(links, l)
	}
	return links, err
}

func (o *linkOptions) toPut(names []string, one protocol.NewLink) (links []protocol.NewLink, err error) {
	if o.inline || o.name != "" {
		return nil, usagef("--inline and --name are for links to get a file; with --upload the arguments are names")
	}
	one.Action = protocol.LinkPut
	if o.maxSize.given {
		one.MaxSize = &o.maxSize.n
	}
	for _, name := range names {
		l := one
		l.Name = &name
		links = append(links, l)
	}
	return links, nil
}

// lifeOf reads how long a link is to be good, as seconds or as a time.
func lifeOf(text string, now time.Time) (seconds *int64, at *protocol.Time, err error) {
	if at, err = expiryOf("--expires", text, now); err != nil {
		return nil, nil, err
	}
	if at == nil {
		return nil, nil, usagef("--expires is empty: every link ends")
	}
	if _, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return nil, at, nil
	}
	n := max(int64(at.Sub(now).Round(time.Second)/time.Second), 1)
	return &n, nil, nil
}

func revoke(ctx context.Context, s *session, args []string) error {
	ids, err := uids(args)
	if err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	for _, uid := range ids {
		if err := c.RevokeLinks(ctx, uid); err != nil {
			return stopped(ctx, err)
		}
		if !knows(ctx, c, uid) {
			s.con.note("osp: you have no file " + uid.String() + "; if links to put it were signed, they are ended")
		}
	}
	return nil
}

// knows is false where the daemon says that it has neither file nor upload of
// the uid: it ends links all the same, since one to put may not have been used
// yet, but so it does for a uid that was mistyped.
func knows(ctx context.Context, c *client.Client, uid protocol.UID) bool {
	if _, err := c.File(ctx, uid); protocol.KindOf(err) != protocol.KindNotFound {
		return true
	}
	_, err := c.Upload(ctx, uid)
	return protocol.KindOf(err) != protocol.KindNotFound
}

func revokeAll(ctx context.Context, s *session, yes bool) error {
	if !yes {
		if err := s.confirm(ctx, "End all links that you signed?"); err != nil {
			return err
		}
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	return stopped(ctx, c.RevokeAllLinks(ctx))
}
