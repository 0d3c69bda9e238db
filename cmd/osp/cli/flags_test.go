package cli

import (
	"maps"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		in, want string // "" is refused
	}{
		{"24h", "2026-11-23T10:00:00.000Z"},
		{"90m", "2026-11-22T11:30:00.000Z"},
		{"30d", "2026-12-22T10:00:00.000Z"},
		{"2026-11-22T12:00:00+01:00", "2026-11-22T11:00:00.000Z"},
		{"2027-01-01T00:00:00.123456Z", "2027-01-01T00:00:00.123Z"},
		{"0s", ""},
		{"-1h", ""},
		{"-1d", ""},
		{"d", ""},
		{"1.5d", ""},
		{"99999999999d", ""},
		{"36501d", ""},
		{"tomorrow", ""},
		{"2026-11-22", ""},
		{"2026-11-22T10:00:00Z", ""},
	}
	for _, tt := range tests {
		got, err := expiryOf("--expires", tt.in, now)
		if (err != nil) != (tt.want == "") {
			t.Errorf("expiryOf(%q): error %v", tt.in, err)
		} else if err == nil && got.String() != tt.want {
			t.Errorf("expiryOf(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
	if got, err := expiryOf("--expires", "", now); got != nil || err != nil {
		t.Errorf(`expiryOf("") = %v, %v, want never`, got, err)
	}
}

func TestMetadata(t *testing.T) {
	got, err := metadata([]string{"a=1", "b=", "c=x=y"})
	if want := map[string]string{"a": "1", "b": "", "c": "x=y"}; err != nil || !maps.Equal(got, want) {
		t.Errorf("metadata = %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "a", "=1"} {
		if _, err := metadata([]string{bad}); err == nil {
			t.Errorf("metadata(%q) is accepted", bad)
		}
	}
	if got, err := metadata(nil); got != nil || err != nil {
		t.Errorf("metadata(nil) = %v, %v, want null", got, err)
	}
}

func TestVariablesFillFlags(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	g := &globals{}
	g.add(flags)
	meta := flags.StringArray("meta", nil, "")
	env := environment{"OSP_META": "a=1\nb=2, c\n", "OSP_VERBOSE": "2", "OSP_JSON": "true", "OSP_PROGRESS_INTERVAL": "3s", "OSP_RETRIES": "5"}
	if err := flags.Parse([]string{"--retries", "1"}); err != nil {
		t.Fatal(err)
	}
	if err := env.apply(flags); err != nil {
		t.Fatal(err)
	}
	if g.verbose != 2 || !g.json || g.interval != 3*time.Second || g.retries != 1 {
		t.Errorf("flags are %+v", g)
	}
	if len(*meta) != 2 || (*meta)[1] != "b=2, c" {
		t.Errorf("--meta is %q, want one value a line", *meta)
	}
}

func TestParseEnvironment(t *testing.T) {
	env := parseEnvironment([]string{"A=1", "B=x=y", "C", "=C:=C:\\", "D="})
	if want := (environment{"A": "1", "B": "x=y", "D": ""}); !maps.Equal(env, want) {
		t.Errorf("environment is %v, want %v", env, want)
	}
}
