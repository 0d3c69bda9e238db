package profile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/gofrs/flock"
	"go.yaml.in/yaml/v3"

	"github.com/osproxy/osproxy/protocol"
)

// maxFile bounds the file.
const maxFile = 1 << 20

// header stands above what Update writes.
const header = "# Profiles of osp. Written by osp login, osp logout and osp profile use; may be edited.\n"

// Load reads the file at path; one that does not exist is an empty Config. A
// file that holds a token and that others may read, or that names a command and
// that others may write, is KindUsage, and so is one that cannot be understood.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, unreadable(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Config{}, unreadable(path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return Config{}, unreadable(path, err)
	}
	c, err := decode(data)
	switch {
	case err != nil:
		return Config{}, &protocol.Error{Kind: protocol.KindUsage, Message: path + " cannot be used", Err: err}
	case c.holdsToken() && othersMay(info, readable|writable):
		return Config{}, exposed(path, info, "holds a token, and others may read it")
	case c.runsCommand() && othersMay(info, writable):
		return Config{}, exposed(path, info, "names a command to run, and others may write to it")
	}
	return c, nil
}

// decode reads the file's text. What the YAML library says of it is told
// without the values it repeats: one may be a token in the wrong place.
func decode(data []byte) (c Config, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		// The secret of a token may stand alone, where the text is broken.
		value := regexp.MustCompile("`[^`]*`|osp_[0-9A-Za-z]+_[0-9A-Za-z]+|[0-9A-Za-z]{32,}")
		return Config{}, errors.New(value.ReplaceAllString(err.Error(), "a value"))
	}
	return c, c.check()
}

// Update changes the file as a whole: a crash leaves the old or the new one,
// and of two that change it at once none is lost. What change refuses, changes
// nothing. Comments in the file are not kept.
func Update(path string, change func(*Config) error) error {
	// A file that is a link stays one.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return unwritable(path, err)
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return unwritable(path, err)
	}
	defer lock.Close()
	c, err := Load(path)
	if err != nil {
		return err
	}
	if c.Profiles == nil {
		c.Profiles = map[string]Profile{}
	}
	if err := change(&c); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	data, err := yaml.Marshal(c)
	if err == nil {
		err = replace(path, append([]byte(header), data...))
	}
	if err != nil {
		return unwritable(path, err)
	}
	return nil
}

func unwritable(path string, err error) error {
	return &protocol.Error{Kind: protocol.KindLocalIO, Message: path + " cannot be written; it is as it was", Err: err}
}

// replace writes a file that is its owner's alone (os.CreateTemp makes it so).
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
