package cli

import (
	"testing"

	"github.com/spf13/pflag"
)

// TestRulesKeepTheirOrder: over all flags, with those of the environment first,
// since what is typed last wins.
func TestRulesKeepTheirOrder(t *testing.T) {
	for _, tt := range []struct {
		env  environment
		args []string
		want string
	}{
		{nil, []string{"--exclude", "a", "--include=b", "--exclude", "c", "--exclude-from", "f", "--include", "d"}, "-a+b-c@f+d"},
		{nil, []string{"--include", "b,c", "--exclude", "{a,b}"}, "+b,c-{a,b}"},
		{environment{"OSP_INCLUDE": "x\ny\n"}, []string{"--exclude", "a"}, "+x+y-a"},
		{environment{"OSP_EXCLUDE": "x", "OSP_INCLUDE": "y"}, []string{"--exclude", "a"}, "+y-a"},
		{environment{"OSP_EXCLUDE": "x", "OSP_EXCLUDE_FROM": "f", "OSP_INCLUDE": ""}, nil, "-x@f"},
	} {
		o := &selectOptions{}
		set := pflag.NewFlagSet("put", pflag.ContinueOnError)
		o.add(set)
		if err := set.Parse(tt.args); err != nil {
			t.Fatal(err)
		}
		if err := tt.env.apply(set); err != nil {
			t.Fatal(err)
		}
		signs := map[ruleKind]string{ruleInclude: "+", ruleExclude: "-", ruleExcludeFrom: "@"}
		got := ""
		for _, r := range append(o.rules.environment, o.rules.typed...) {
			got += signs[r.kind] + r.text
		}
		if got != tt.want {
			t.Errorf("%v %q: %s, want %s", tt.env, tt.args, got, tt.want)
		}
	}
}
