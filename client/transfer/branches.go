package transfer

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// wholeTree is the prefix of all names.
const wholeTree = "/"

// Branches are the Files whose names lie below some prefixes.
type Branches struct {
	// Files are in the order of their names, each name once.
	Files []Leaf
	// Older is how many Files were left out since a newer one has their name.
	Older int
	// Empty are the prefixes that no name lies below.
	Empty []string
}

// Leaf is one File of Branches.
type Leaf struct {
	protocol.File
	// Folder says that names of other Files go on where this one ends: in a
	// file system it can be a file or a folder, but not both.
	Folder bool
}

// Branches lists the Files of each prefix: the one of that very name, and those
// below it, as if it were a folder. A prefix that ends in a slash leaves the
// first one out, and "/" alone is all Files. Of several Files of one name the
// newest counts. Of each only what a get needs is kept.
func (e *Engine) Branches(ctx context.Context, prefixes []string) (Branches, error) {
	var b Branches
	found := newest{files: map[string]protocol.File{}, older: map[protocol.UID]bool{}}
	for _, prefix := range prefixes {
		queries, err := branchQueries(prefix)
		if err != nil {
			return b, err
		}
		none := true
		for _, q := range queries {
			err := e.Files(ctx, q, 0, func(f protocol.File) error {
				none = false
				found.add(f)
				return nil
			})
			if err != nil {
				return b, err
			}
		}
		if none {
			b.Empty = append(b.Empty, prefix)
		}
	}
	b.Files, b.Older = found.leaves(), len(found.older)
	return b, nil
}

// newest has one File for each name, and knows which it left out for them.
type newest struct {
	files map[string]protocol.File
	older map[protocol.UID]bool
}

// add takes a File, which may come twice.
func (n newest) add(f protocol.File) {
	before, ok := n.files[f.Name]
	switch {
	case ok && f.UID < before.UID:
		n.older[f.UID] = true
		return
	case ok && f.UID > before.UID:
		n.older[before.UID] = true
	}
	n.files[f.Name] = protocol.File{UID: f.UID, Name: f.Name, Size: f.Size, Digest: f.Digest, SHA256: f.SHA256, ETag: f.ETag}
}

// branchQueries are what asks for the Files of a prefix.
func branchQueries(prefix string) ([]client.FileQuery, error) {
	if prefix == wholeTree {
		return []client.FileQuery{{}}, nil
	}
	name, below := strings.CutSuffix(prefix, "/")
	if err := protocol.CheckName(name); err != nil {
		return nil, err
	}
	queries := []client.FileQuery{{Prefix: name + "/"}}
	if !below {
		queries = append(queries, client.FileQuery{Name: name})
	}
	return queries, nil
}

// leaves puts the Files in order, and finds out which are folders too.
func (n newest) leaves() []Leaf {
	folders := map[string]bool{}
	for name := range n.files {
		for i := strings.LastIndexByte(name, '/'); i > 0 && !folders[name[:i]]; i = strings.LastIndexByte(name[:i], '/') {
			folders[name[:i]] = true
		}
	}
	list := make([]Leaf, 0, len(n.files))
	for _, name := range slices.Sorted(maps.Keys(n.files)) {
		list = append(list, Leaf{File: n.files[name], Folder: folders[name]})
	}
	return list
}
