package daemon

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/osproxy/osproxy/daemon/meta"
)

var nodeForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// nodeFile is where a data folder has its id.
const nodeFile = "node"

// NodeID is the id of a data folder, whether its daemon runs or not. Where it has
// none one is made, as the first start would: a certificate names it before that.
func NodeID(cfg Config) (meta.NodeID, error) {
	if cfg.Data == "" {
		return "", at(StageConfig, errors.New("data: no folder is named"))
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, nodeFile)); err == nil {
		id, err := nodeID(cfg.Data)
		return id, at(StageLock, err)
	}
	if err := cfg.makeData(); err != nil {
		return "", at(StageDatabase, err)
	}
	lock, err := lockData(cfg.Data)
	if err != nil {
		return "", at(StageLock, err)
	}
	id, err := nodeID(cfg.Data)
	return id, at(StageLock, errors.Join(err, lock.Unlock()))
}

// nodeID is the id of a data folder that this process has locked. One is made,
// durably, where there is none.
func nodeID(data string) (meta.NodeID, error) {
	path := filepath.Join(data, nodeFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeNodeID(path)
	}
	if err != nil {
		return "", fmt.Errorf("read the id of this node: %w", err)
	}
	id := strings.TrimSuffix(string(text), "\n")
	if !nodeForm.MatchString(id) {
		return "", fmt.Errorf("%s is not the id of a node, 32 hex digits; remove it, and another is made", path)
	}
	return meta.NodeID(id), nil
}

// makeNodeID has the id be there whole or not at all.
func makeNodeID(path string) (meta.NodeID, error) {
	var b [16]byte
	rand.Read(b[:])
	id := hex.EncodeToString(b[:])
	if err := writeDurably(path, []byte(id+"\n")); err != nil {
		return "", fmt.Errorf("make the id of this node: %w", err)
	}
	return meta.NodeID(id), nil
}

func writeDurably(path string, text []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(path))
}
