package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// apiOptions are the flags of api.
type apiOptions struct {
	headers, fields []string
	data, input     string
	include         bool
	// sends is which of the flags that make a body are given.
	sends []string
}

func newAPI(s *session) *cobra.Command {
	o := &apiOptions{}
	cmd := &cobra.Command{
		Use:   "api METHOD PATH",
		Short: "Send a request to the daemon's API and print what it answers",
		Long: "Send one request to the server, with the token, and print the body of the answer as it\n" +
			"came. PATH is as in the API's description (/openapi.json, /docs); its first slash may be\n" +
			"left out. An address is taken only on the server itself, and redirects are not followed,\n" +
			"so that the token goes nowhere else. Nothing is tried again.\n\n" +
			"An answer that is an error is printed too, and osp ends with its exit code.",
		Example: "  osp api GET v1/files?limit=10 | jq .files\n" +
			"  osp api POST v1/jobs -f kind=scrub -f args:='{\"file\": \"381270594817523712\"}'\n" +
			"  osp api PATCH v1/files/381270594817523712 -d '{\"name\": \"b.iso\"}'\n" +
			"  osp api POST 'v1/files?name=a.txt' --input a.txt",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("say METHOD and PATH, like: osp api GET v1/capabilities")
			}
			return nil
		},
		ValidArgsFunction: completeAPI,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, flag := range []string{"data", "input", "field"} {
				if cmd.Flags().Changed(flag) {
					o.sends = append(o.sends, "--"+flag)
				}
			}
			return apiRun(cmd.Context(), s, args[0], args[1], o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.data, "data", "d", "", "send `TEXT` as the body, or what is in the file behind an @ (@-: standard input)")
	f.StringVar(&o.input, "input", "", "send the bytes of `FILE` as the body (-: standard input)")
	f.StringArrayVarP(&o.fields, "field", "f", nil, "send JSON with `KEY=TEXT` in it, or KEY:=JSON (repeat for more)")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "send the header field `NAME: VALUE` too (repeat for more)")
	f.BoolVarP(&o.include, "include", "i", false, "print status and header of the answer before its body")
	return cmd
}

func apiRun(ctx context.Context, s *session, method, path string, o *apiOptions) error {
	if s.opts.json {
		err := usagef("--json has no meaning here: the body is printed as it came")
		err.Hint = "Leave --json out."
		return err
	}
	if method == "" || strings.ContainsFunc(method, func(c rune) bool { return (c|0x20) < 'a' || (c|0x20) > 'z' }) {
		return usagef("%q is not a method; say METHOD and PATH, like: osp api GET v1/capabilities", method)
	}
	raw := client.Raw{Method: strings.ToUpper(method), Target: path}
	var err error
	if raw.Header, err = headerOf(o.headers); err != nil {
		return err
	}
	if err := o.body(ctx, s, &raw); err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		if raw.Body != nil {
			raw.Body.Close()
		}
		return err
	}
	resp, err := c.Do(ctx, raw)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	failed := client.AnswerError(ctx, resp)
	if err := printAnswer(s, resp, o.include); err != nil {
		return err
	}
	return failed
}

// printAnswer writes what came to standard output.
func printAnswer(s *session, resp *http.Response, include bool) error {
	out := &lastByte{w: s.con.out, last: '\n'}
	if include {
		var b bytes.Buffer
		fmt.Fprintf(&b, "%s %s\n", resp.Proto, resp.Status)
		for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
			for _, value := range resp.Header[name] {
				fmt.Fprintf(&b, "%s: %s\n", name, value)
			}
		}
		b.WriteByte('\n')
		if _, err := out.Write(b.Bytes()); err != nil {
			return notWritten(err)
		}
	}
	_, err := io.Copy(out, resp.Body)
	if out.failed != nil {
		return notWritten(out.failed)
	}
	if isTerminal(s.con.out) && out.last != '\n' {
		s.con.result(nil)
	}
	return err
}

func notWritten(err error) error {
	return &protocol.Error{Kind: protocol.KindLocalIO, Message: "the answer could not be written", Err: err}
}

// lastByte remembers what was written last, and how writing failed.
type lastByte struct {
	w      io.Writer
	last   byte
	failed error
}

func (l *lastByte) Write(p []byte) (int, error) {
	n, err := l.w.Write(p)
	if n > 0 {
		l.last = p[n-1]
	}
	l.failed = err
	return n, err
}

// headerOf reads the values of --header.
func headerOf(fields []string) (http.Header, error) {
	h := http.Header{}
	for _, field := range fields {
		name, value, ok := strings.Cut(field, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, usagef("--header is NAME: VALUE, not %q", name)
		}
		if name = http.CanonicalHeaderKey(name); name == "Host" || name == "Transfer-Encoding" {
			return nil, usagef("--header cannot change %s: osp sends to --server, and bodies as they are", name)
		}
		h.Add(name, strings.TrimSpace(value))
	}
	return h, nil
}

// completeAPI are the methods, and then the paths that have it, as far as they
// are known.
func completeAPI(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	for _, r := range protocol.Routes() {
		word := r.Method
		switch {
		case len(args) > 1, len(args) == 1 && !strings.EqualFold(args[0], r.Method):
			continue
		case len(args) == 1:
			word, _, _ = strings.Cut(r.Path, "{")
		}
		if !slices.Contains(found, word) {
			found = append(found, word)
		}
	}
	slices.Sort(found)
	directive := cobra.ShellCompDirectiveNoFileComp
	if len(args) == 1 {
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	return found, directive
}
