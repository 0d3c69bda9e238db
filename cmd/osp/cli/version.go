package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// The linker sets these in released builds (-X); they are never assigned
// otherwise.
var version, commit, date string

// build is what `osp version --json` prints. What is not known is null.
type build struct {
	Version string  `json:"version"`
	Commit  *string `json:"commit"`
	// Date is that of the commit.
	Date *string `json:"date"`
	Go   string  `json:"go"`
	OS   string  `json:"os"`
	Arch string  `json:"arch"`
}

// buildVersion is what the linker was told, else what the go command recorded.
func buildVersion() build {
	v, c, d := version, commit, date
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "(devel)" {
			v = cmp.Or(v, info.Main.Version)
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				c = cmp.Or(c, s.Value)
			case "vcs.time":
				d = cmp.Or(d, s.Value)
			}
		}
	}
	return build{Version: cmp.Or(v, "devel"), Commit: orNull(c), Date: orNull(d),
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
}

func newVersion(s *session) *cobra.Command {
	return &cobra.Command{
		Use:         "version",
		Short:       "Print the version of this osp",
		Long:        "Print the version of this osp, the commit it was built from, and for what machine.",
		Example:     "  osp version --json",
		Args:        atMost(0),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(*cobra.Command, []string) error {
			b := buildVersion()
			if s.opts.json {
				s.con.result(marshal(b))
				return nil
			}
			s.con.result([]byte(b.String()))
			return nil
		},
	}
}

// String is the version for people.
func (b build) String() string {
	text := "osp " + b.Version
	for _, known := range []*string{b.Commit, b.Date} {
		if known != nil {
			text += " " + *known
		}
	}
	return fmt.Sprintf("%s %s %s/%s", text, b.Go, b.OS, b.Arch)
}
