package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

func newStat(s *session) *cobra.Command {
	return &cobra.Command{
		Use:         "stat UID...",
		Short:       "Print what is known of files",
		Long:        "Print what is known of files: name, size, digest, times. With --json their File objects,\none a line.",
		Example:     "  osp stat 381270594817523712\n  osp stat --json 381270594817523712 | jq -r .name",
		Args:        atLeastOne("UID"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE:        func(cmd *cobra.Command, args []string) error { return statRun(cmd.Context(), s, args) },
	}
}

func statRun(ctx context.Context, s *session, args []string) error {
	ids, err := uids(args)
	if err != nil {
		return err
	}
	engine, err := s.engine(transfer.DefaultPartsPerFile, nil)
	if err != nil {
		return err
	}
	var codes []int
	for i, uid := range ids {
		file, err := engine.File(ctx, uid)
		err = s.advise(stopped(ctx, err))
		codes = append(codes, exitOf(err))
		switch {
		case err != nil:
			s.con.note(explain(opStat, uid.String(), err))
		case s.opts.json:
			s.con.result(marshal(file))
		default:
			if i > 0 {
				s.con.result(nil)
			}
			s.con.result([]byte(fields(fileFields(file))))
		}
	}
	s.code = fold(codes)
	return nil
}

// fileFields are the lines of a File for people.
func fileFields(f protocol.File) [][2]string {
	lines := [][2]string{
		{"uid", f.UID.String()},
		{"name", f.Name},
		{"size", fmt.Sprintf("%s (%d bytes)", bytesText(f.Size), f.Size)},
		{"digest", textOr(f.Digest, "not yet known")},
	}
	if f.SHA256 != nil {
		lines = append(lines, [2]string{"sha256", *f.SHA256})
	}
	if f.MD5 != nil {
		lines = append(lines, [2]string{"md5", *f.MD5})
	}
	if f.MediaType != nil {
		lines = append(lines, [2]string{"media type", *f.MediaType})
	}
	for _, key := range slices.Sorted(maps.Keys(f.Meta)) {
		lines = append(lines, [2]string{"meta", key + "=" + f.Meta[key]})
	}
	return append(lines,
		[2]string{"owner", string(f.Owner)},
		[2]string{"etag", f.ETag},
		[2]string{"created", f.CreatedAt.String()},
		[2]string{"committed", f.CommittedAt.String()},
		[2]string{"expires", textOr(f.ExpiresAt, "never")})
}

// textOr prints what v points to, or other for nil.
func textOr[T fmt.Stringer](v *T, other string) string {
	if v == nil {
		return other
	}
	return (*v).String()
}

// fields prints names and values in two columns, without a last newline.
func fields(lines [][2]string) string {
	width := 0
	for _, l := range lines {
		width = max(width, len(l[0]))
	}
	var b strings.Builder
	for i, l := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%-*s  %s", width, l[0], clean(l[1]))
	}
	return b.String()
}
