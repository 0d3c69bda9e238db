package file

import (
	"context"
	"errors"
	"os"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

// maxOpen bounds the descriptors of one request. A content is read in order,
// so those of blobs behind are not missed.
const maxOpen = 16

// descriptors are open files of blobs, the oldest first.
type descriptors struct {
	files []openFile
}

type openFile struct {
	blob meta.BlobID
	f    *os.File
}

// get opens the blob's file once. The file stays open until maxOpen others
// were opened after it.
func (d *descriptors) get(ctx context.Context, opener store.FileOpener, e *meta.Extent) (*os.File, error) {
	for i := range d.files {
		if d.files[i].blob == e.Blob {
			return d.files[i].f, nil
		}
	}
	f, err := opener.OpenFile(ctx, store.Key(e.Key))
	if err != nil {
		return nil, err
	}
	if len(d.files) == maxOpen {
		oldest := d.files[0].f
		d.files = append(d.files[:0], d.files[1:]...)
		if err := oldest.Close(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	d.files = append(d.files, openFile{e.Blob, f})
	return f, nil
}

func (d *descriptors) closeAll() error {
	var errs []error
	for _, o := range d.files {
		errs = append(errs, o.f.Close())
	}
	d.files = nil
	return errors.Join(errs...)
}
