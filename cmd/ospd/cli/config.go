package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/osproxy/osproxy/daemon"
)

// configFlags are the flags that name a key of the configuration.
type configFlags struct {
	file  string
	flags *pflag.FlagSet
}

// addConfigFlags gives cmd --config and the flags common to every verb that
// opens an installation.
func addConfigFlags(cmd *cobra.Command) *configFlags {
	def := daemon.DefaultConfig()
	f := &configFlags{flags: cmd.Flags()}
	f.flags.StringVar(&f.file, "config", "", "configuration `FILE` (YAML); none is read unless named")
	f.flags.String("data", def.Data, "`DIR` for the database, the stored files and the lock")
	f.flags.String("db", def.DB.String(), "database: sqlite, or `ADDRESS` postgres://user:password@host:port/name;\n"+
		"others of this machine see what is on a command line: better OSPD_DB or the file")
	return f
}

// load reads the configuration with the flags that were given on top.
func (f *configFlags) load(e *env) (daemon.Config, error) {
	cfg, err := daemon.LoadConfig(f.file, e.environ, f.given())
	if err != nil {
		return cfg, &daemon.Error{Stage: daemon.StageConfig, Err: err}
	}
	return cfg, nil
}

// own is load for a verb that works in a data folder which a daemon has: where root
// runs it, it acts as the user whose that is from then on, whatever it makes there.
func (f *configFlags) own(e *env) (daemon.Config, error) {
	cfg, err := f.load(e)
	if err != nil {
		return cfg, err
	}
	o, err := ownerOf(cfg)
	if err == nil {
		_, err = o.become()
	}
	return cfg, err
}

// read reads it as it is written, whatever is wrong with it.
func (f *configFlags) read(e *env) (daemon.Config, error) {
	cfg, err := daemon.ReadConfig(f.file, e.environ, f.given())
	if err != nil {
		return cfg, &daemon.Error{Stage: daemon.StageConfig, Err: err}
	}
	return cfg, nil
}

// given are the keys whose flag was given.
func (f *configFlags) given() map[string]any {
	given := map[string]any{}
	f.flags.VisitAll(func(fl *pflag.Flag) {
		if !fl.Changed {
			return
		}
		switch key := fl.Name; key {
		case "data", "db", "listen", "insecure", "grace":
			given[key] = fl.Value.String()
		case "admin-listen":
			given["admin_listen"] = fl.Value.String()
		case "drain-timeout":
			given["drain_timeout"] = fl.Value.String()
		}
	})
	return given
}
