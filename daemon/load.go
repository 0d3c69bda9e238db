package daemon

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

const envPrefix = "OSPD_"

// LoadConfig reads the configuration: what a flag says goes before what the
// environment says, that before the file (path "" for none), that before the
// defaults. flags holds the keys whose flag was given. A key of the file that
// is not known is an error; a variable that is not one of ours is left alone,
// since others set such too (a container platform for a service called ospd).
func LoadConfig(path string, environ []string, flags map[string]any) (Config, error) {
	cfg, err := ReadConfig(path, environ, flags)
	if err != nil {
		return cfg, err
	}
	return cfg, cfg.Complete()
}

// ReadConfig is LoadConfig with nothing completed or checked: for whoever wants a
// key or two of a configuration whose rest (secrets, folders) may be elsewhere.
func ReadConfig(path string, environ []string, flags map[string]any) (Config, error) {
	cfg := DefaultConfig()
	k := koanf.New(".")
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return cfg, fmt.Errorf("read %s: %w", path, err)
		}
	}
	known := knownKeys()
	vars := env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, envPrefix)), "__", ".")
			top, _, nested := strings.Cut(key, ".")
			if holdsKeys, ok := known[top]; !ok || nested != holdsKeys {
				return "", nil
			}
			return key, value
		},
	})
	if err := k.Load(vars, nil); err != nil {
		return cfg, fmt.Errorf("read the environment: %w", err)
	}
	for key, value := range flags {
		if err := k.Set(key, value); err != nil {
			return cfg, fmt.Errorf("flag --%s: %w", key, err)
		}
	}
	var read mapstructure.Metadata
	err := k.UnmarshalWithConf("", &cfg, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: &cfg, TagName: "koanf", Metadata: &read, WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","), readDatabase(), mapstructure.TextUnmarshallerHookFunc()),
	}})
	if err != nil {
		return cfg, err
	}
	if len(read.Unused) > 0 {
		slices.Sort(read.Unused)
		return cfg, fmt.Errorf("%s has keys that are not known: %s", path, strings.Join(read.Unused, ", "))
	}
	return cfg, nil
}

// knownKeys are the top-level keys of a Config, and whether there are keys
// below them.
func knownKeys() map[string]bool {
	keys := map[string]bool{}
	for f := range reflect.TypeFor[Config]().Fields() {
		keys[f.Tag.Get("koanf")] = f.Type.Kind() == reflect.Map || f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[Database]()
	}
	return keys
}
