package object_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// vendor is an object store in memory that fails where it is told: fault is
// asked before and after each call, with its name, "copy part 3" say.
type vendor struct {
	limits object.Limits
	// What it tells of objects.
	crc, md5 bool
	fault    func(call string) error
	lost     func(call string) error // asked after the call was carried out

	mu      sync.Mutex
	objects map[store.Key][]byte
	tags    map[store.Key]string // MD5s, of joined ones of their parts
	uploads map[store.ComposeID]map[int][]byte
	calls   []string
	running int
	most    int
}

func newVendor() *vendor {
	return &vendor{
		limits: object.Limits{MinPart: 10, MaxPart: 40, MaxParts: 20}, crc: true, md5: true,
		fault: func(string) error { return nil }, lost: func(string) error { return nil },
		objects: map[store.Key][]byte{}, tags: map[store.Key]string{}, uploads: map[store.ComposeID]map[int][]byte{},
	}
}

func (v *vendor) put(key store.Key, data []byte) {
	v.objects[key], v.tags[key] = data, fmt.Sprintf("%x", md5.Sum(data))
}

// do carries out a call.
func (v *vendor) do(ctx context.Context, call string, f func() error) error {
	v.mu.Lock()
	v.running++
	v.most = max(v.most, v.running)
	v.mu.Unlock()
	err := errors.Join(ctx.Err(), v.fault(call))
	v.mu.Lock()
	defer v.mu.Unlock()
	v.running--
	v.calls = append(v.calls, call)
	if err == nil {
		err = f()
	}
	return errors.Join(err, v.lost(call))
}

func (v *vendor) Limits() object.Limits         { return v.limits }
func (v *vendor) Polynomial() object.Polynomial { return object.ECMA }

func (v *vendor) Head(ctx context.Context, key store.Key) (o object.Object, err error) {
	err = v.do(ctx, "head "+string(key), func() error {
		data, ok := v.objects[key]
		if !ok {
			return store.ErrNotFound
		}
		o = object.Object{Size: int64(len(data)), Tag: v.tags[key]}
		if v.crc {
			o.CRC, o.HasCRC = sum(object.ECMA, data), true
		}
		if v.md5 {
			o.MD5 = o.Tag
		}
		return nil
	})
	return o, err
}

func (v *vendor) Get(ctx context.Context, key store.Key, off, n int64) (r io.ReadCloser, err error) {
	err = v.do(ctx, "get "+string(key), func() error {
		r = io.NopCloser(bytes.NewReader(v.objects[key][off : off+n]))
		return nil
	})
	return r, err
}

func (v *vendor) Delete(ctx context.Context, key store.Key) error {
	return v.do(ctx, "delete "+string(key), func() error {
		delete(v.objects, key)
		return nil
	})
}

func (v *vendor) Parts(ctx context.Context, _ store.Key, id store.ComposeID) (parts []object.Part, err error) {
	err = v.do(ctx, "parts", func() error {
		upload, ok := v.uploads[id]
		if !ok {
			return store.ErrNotBegun
		}
		for _, n := range slices.Sorted(maps.Keys(upload)) {
			parts = append(parts, v.part(n, upload[n]))
		}
		return nil
	})
	return parts, err
}

func (v *vendor) part(number int, data []byte) object.Part {
	p := object.Part{Number: number, Size: int64(len(data)), Tag: fmt.Sprintf("%x", md5.Sum(data))}
	if v.md5 {
		p.MD5 = p.Tag
	}
	return p
}

func (v *vendor) CopyPart(ctx context.Context, _ store.Key, id store.ComposeID, number int, from store.Piece, source object.Object) (p object.Part, err error) {
	err = v.do(ctx, fmt.Sprint("copy part ", number), func() error {
		if v.tags[from.Key] != source.Tag {
			return errors.New("the source is another one")
		}
		p = v.keep(id, number, v.objects[from.Key][from.Offset:from.Offset+from.Length])
		return nil
	})
	return p, err
}

func (v *vendor) keep(id store.ComposeID, number int, data []byte) object.Part {
	v.uploads[id][number] = data
	return v.part(number, data)
}

func (v *vendor) UploadPart(ctx context.Context, _ store.Key, id store.ComposeID, number int, r io.Reader, size int64) (p object.Part, err error) {
	body, err := object.NewUpload(ctx, r, size, nil)
	if err != nil {
		return p, err
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return p, errors.Join(err, body.Stop())
	}
	err = v.do(ctx, fmt.Sprint("upload part ", number), func() error {
		p = v.keep(id, number, data)
		return nil
	})
	return p, err
}

func (v *vendor) Complete(ctx context.Context, key store.Key, id store.ComposeID, parts []object.Part) error {
	return v.do(ctx, "complete", func() error {
		upload, ok := v.uploads[id]
		if !ok {
			return store.ErrNotBegun
		}
		if _, ok := v.objects[key]; ok {
			return store.ErrExists
		}
		var whole, sums []byte
		for i, p := range parts {
			data, ok := upload[p.Number]
			if !ok || p.Number != i+1 || p.Tag != v.part(p.Number, data).Tag {
				return fmt.Errorf("part %d is another one", p.Number)
			}
			whole = append(whole, data...)
			s := md5.Sum(data)
			sums = append(sums, s[:]...)
		}
		v.put(key, whole)
		v.tags[key] = fmt.Sprintf("%x-%d", md5.Sum(sums), len(parts))
		delete(v.uploads, id)
		return nil
	})
}
