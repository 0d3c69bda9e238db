package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

// checkTree refuses options that mean nothing to a get of whole trees.
func (o *getOptions) checkTree() error {
	switch {
	case o.output == standardInput:
		return usagef("-r gets many files: -o is a folder, not standard output")
	case o.sha256 != "":
		return usagef("--sha256 is of one file, and -r gets many")
	}
	return o.checkValues()
}

// runTree gets all files below the prefixes.
func (o *getOptions) runTree(ctx context.Context, s *session, prefixes []string) error {
	if err := o.checkTree(); err != nil {
		return err
	}
	progress := &transfer.Progress{}
	engine, err := s.engine(o.parts, progress)
	if err != nil {
		return err
	}
	found, err := engine.Branches(ctx, prefixes)
	if err != nil {
		return err
	}
	if found.Older > 0 && !s.opts.quiet {
		s.con.note(fmt.Sprintf("osp: %s left out, since a newer file has the same name", counted(found.Older)))
	}
	tree, err := transfer.OpenTree(o.output)
	if err != nil {
		return err
	}
	defer tree.Close()
	var total int64
	for _, f := range found.Files {
		total += f.Size
	}
	progress.Expect(len(found.Empty)+len(found.Files), total)
	req := o.request(s)
	req.In = tree
	items := untilStopped(ctx, s.treeItems(engine, req, found), transfer.Result{Path: strings.Join(prefixes, " ")})
	s.getAll(ctx, progress, items, o.jobs)
	return nil
}

// treeItems are the downloads of files into a tree, made one by one since there
// may be many, and before them the prefixes of none.
func (s *session) treeItems(engine *transfer.Engine, req transfer.GetRequest, found transfer.Branches) iter.Seq[item] {
	return func(yield func(item) bool) {
		for _, prefix := range found.Empty {
			if !yield(failedItem(transfer.Result{Path: prefix},
				protocol.Errorf(protocol.KindNotFound, "there is no file %s, and none below it", prefix))) {
				return
			}
		}
		for i := range found.Files {
			if !yield(s.leafItem(engine, req, &found.Files[i])) {
				return
			}
		}
	}
}

// leafItem is the download of one file into a tree.
func (s *session) leafItem(engine *transfer.Engine, req transfer.GetRequest, leaf *transfer.Leaf) item {
	req.UID, req.File = leaf.UID, &leaf.File
	it := s.getItem(engine, req)
	it.known.Name, it.known.Size = leaf.Name, leaf.Size
	if !leaf.Folder {
		return it
	}
	return failedItem(it.known, &protocol.Error{Kind: protocol.KindConflict,
		Message: leaf.Name + " is the folder of other files too, so that it cannot be a file",
		Hint:    "Get it by itself: osp get " + leaf.UID.String() + " -o PATH"})
}

// untilStopped gives the items while ctx lives. That some were not begun is then
// one item, and not one for each of them.
func untilStopped(ctx context.Context, items iter.Seq[item], rest transfer.Result) iter.Seq[item] {
	return func(yield func(item) bool) {
		for it := range items {
			if ctx.Err() != nil {
				yield(failedItem(rest, context.Cause(ctx)))
				return
			}
			if !yield(it) {
				return
			}
		}
	}
}

// failedItem is one that there is nothing to do about.
func failedItem(known transfer.Result, err error) item {
	return item{known: known, run: func(context.Context) (transfer.Result, error) { return known, err }}
}
