package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

func TestPagesShowEachFileOnce(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	var want []protocol.UID
	for i := range 7 {
		want = append([]protocol.UID{b.put(noise(i))}, want...)
	}
	for limit := 1; limit <= 8; limit++ {
		var got []protocol.UID
		cursor, pages := "", 0
		for {
			list, err := b.svc.Files(t.Context(), owner, Query{Limit: limit, Cursor: cursor})
			must(t, err)
			pages++
			for _, f := range list.Files {
				got = append(got, f.UID)
			}
			if list.Next == nil {
				break
			}
			cursor = *list.Next
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("limit %d: got %v, want %v", limit, got, want)
		}
		if most := (len(want) + limit - 1) / limit; pages != most {
			t.Errorf("limit %d: %d pages, want %d: the last page has no next", limit, pages, most)
		}
	}
}

func TestQueriesThatCannotBe(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, q := range []Query{
		{Limit: -1}, {Limit: 1001},
		{Cursor: "!"}, {Cursor: "1"}, {Cursor: encode("0")}, {Cursor: encode("01")}, {Cursor: encode("x")},
		{Cursor: encode("12345") + "="}, {Cursor: encode("9223372036854775808")}, {Cursor: strings.Repeat("A", 1<<16)},
	} {
		_, err := b.svc.Files(t.Context(), owner, q)
		wantKind(t, err, protocol.KindBadRequest)
	}
	list, err := b.svc.Files(t.Context(), owner, Query{})
	if err != nil || len(list.Files) != 0 || list.Next != nil {
		t.Fatalf("no files: %+v, %v", list, err)
	}
}

func TestAnothersFilesAreNotFound(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	uid := b.put(noise(3))
	ctx, other := t.Context(), protocol.Owner("other")
	_, err := b.svc.File(ctx, other, uid)
	wantKind(t, err, protocol.KindNotFound)
	_, err = b.svc.Open(ctx, other, uid)
	wantKind(t, err, protocol.KindNotFound)
	_, err = b.svc.Blocks(ctx, other, uid)
	wantKind(t, err, protocol.KindNotFound)
	_, err = b.svc.Patch(ctx, other, uid, Patch{})
	wantKind(t, err, protocol.KindNotFound)
	wantKind(t, b.svc.Delete(ctx, other, uid), protocol.KindNotFound)
	list, err := b.svc.Files(ctx, other, Query{})
	if err != nil || len(list.Files) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
	_, err = b.svc.File(ctx, owner, uid)
	must(t, err)
}

func TestDeletedIsNotFound(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	uid := b.put(noise(3))
	must(t, b.svc.Delete(t.Context(), owner, uid))
	_, err := b.svc.Open(t.Context(), owner, uid)
	wantKind(t, err, protocol.KindNotFound)
	wantKind(t, b.svc.Delete(t.Context(), owner, uid), protocol.KindNotFound)
}

func TestPatchesThatCannotBe(t *testing.T) {
	for body, kind := range map[string]protocol.Kind{
		``:                                  protocol.KindBadRequest,
		`null`:                              protocol.KindBadRequest,
		`[]`:                                protocol.KindBadRequest,
		`{"size": 3}`:                       protocol.KindUnknownField,
		`{"etag": null}`:                    protocol.KindUnknownField,
		`{"Name": "x"}`:                     protocol.KindUnknownField,
		`{"name": null}`:                    protocol.KindBadRequest,
		`{"name": 3}`:                       protocol.KindBadRequest,
		`{"name": ""}`:                      protocol.KindBadName,
		`{"name": "a//b"}`:                  protocol.KindBadName,
		`{"name": "cafe\u0301"}`:            protocol.KindBadName,
		`{"name": "a", "name": "b"}`:        protocol.KindBadRequest,
		`{"media_type": "nonsense"}`:        protocol.KindBadRequest,
		`{"media_type": {}}`:                protocol.KindBadRequest,
		`{"meta": []}`:                      protocol.KindBadRequest,
		`{"meta": {"k": 1}}`:                protocol.KindBadRequest,
		`{"meta": {"k": "a", "k": "b"}}`:    protocol.KindBadRequest,
		`{"meta": {"with space": "v"}}`:     protocol.KindBadRequest,
		`{"expires_at": "tomorrow"}`:        protocol.KindBadRequest,
		`{"expires_at": 1}`:                 protocol.KindBadRequest,
		`{"name": "\ud800"}`:                protocol.KindBadRequest,
		`{"meta": {"k": "line\nbreak"}}`:    protocol.KindBadRequest,
		`{"name": "a"} {"name": "b"}`:       protocol.KindBadRequest,
		`{"media_type": "text/plain\r\nX"}`: protocol.KindBadRequest,
	} {
		_, err := ParsePatch([]byte(body))
		if got := protocol.KindOf(err); got != kind {
			t.Errorf("%s: %v, want %s", body, err, kind)
		}
	}
}

func TestMergePatch(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	uid := b.put(noise(1))
	first, err := b.svc.File(t.Context(), owner, uid)
	must(t, err)
	later := b.clock.Now().Add(time.Hour)
	for _, step := range []struct {
		body string
		want func(f *protocol.File)
	}{
		{`{}`, func(*protocol.File) {}},
		{`{"name": "b/new"}`, func(f *protocol.File) { f.Name = "b/new" }},
		{`{"media_type": "text/plain"}`, func(f *protocol.File) { f.MediaType = new("text/plain") }},
		{`{"meta": {"a": "1", "b": "2"}}`, func(f *protocol.File) { f.Meta = map[string]string{"a": "1", "b": "2"} }},
		{`{"meta": {"a": null, "c": "3"}}`, func(f *protocol.File) { f.Meta = map[string]string{"b": "2", "c": "3"} }},
		{`{"meta": {"never": null}}`, func(*protocol.File) {}},
		{`{"meta": {}}`, func(*protocol.File) {}},
		{`{"expires_at": "` + protocol.TimeOf(later).String() + `"}`, func(f *protocol.File) { f.ExpiresAt = new(protocol.TimeOf(later)) }},
		{`{"name": "c", "media_type": null, "meta": null, "expires_at": null}`, func(f *protocol.File) {
			f.Name, f.MediaType, f.Meta, f.ExpiresAt = "c", nil, nil, nil
		}},
		{`{"meta": {"d": "4"}}`, func(f *protocol.File) { f.Meta = map[string]string{"d": "4"} }},
	} {
		p, err := ParsePatch([]byte(step.body))
		must(t, err)
		got, err := b.svc.Patch(t.Context(), owner, uid, p)
		if err != nil {
			t.Fatalf("%s: %v", step.body, err)
		}
		step.want(&first)
		if !sameFile(got, first) {
			t.Fatalf("%s: answered %+v, want %+v", step.body, got, first)
		}
		if got, err = b.svc.File(t.Context(), owner, uid); err != nil || !sameFile(got, first) {
			t.Fatalf("%s: then %+v, want %+v (%v)", step.body, got, first, err)
		}
	}
}

func sameFile(a, b protocol.File) bool {
	metaEqual := maps.Equal(a.Meta, b.Meta)
	timeEqual := fmt.Sprint(a.ExpiresAt) == fmt.Sprint(b.ExpiresAt)
	a.Meta, b.Meta, a.ExpiresAt, b.ExpiresAt = nil, nil, nil, nil
	return metaEqual && timeEqual && reflect.DeepEqual(a, b)
}

func TestPatchesAgainstTheFile(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	uid := b.put(noise(1))
	patch := func(body string) error {
		p, err := ParsePatch([]byte(body))
		must(t, err)
		_, err = b.svc.Patch(t.Context(), owner, uid, p)
		return err
	}
	wantKind(t, patch(`{"name": "changed", "expires_at": "`+protocol.TimeOf(b.clock.Now()).String()+`"}`), protocol.KindBadRequest)

	big := strings.Repeat("v", protocol.MaxMetaValue)
	var err error
	for i := 0; err == nil; i++ {
		if i > protocol.MaxMetaBytes/protocol.MaxMetaValue {
			t.Fatal("meta has no bound")
		}
		err = patch(fmt.Sprintf(`{"meta": {"k%d": %q}}`, i, big))
	}
	wantKind(t, err, protocol.KindBadRequest)

	f, err := b.svc.File(t.Context(), owner, uid)
	must(t, err)
	if f.Name != "a/file" || len(f.Meta) != protocol.MaxMetaBytes/protocol.MaxMetaValue-1 {
		t.Fatalf("a refused patch changed something: %q, %d keys", f.Name, len(f.Meta))
	}
}

// The database alone keeps them apart: they may come to several nodes.
func TestPatchesOfMetaAtOnceAllTakeEffect(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	uid := b.put(noise(1))
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			p, err := ParsePatch(fmt.Appendf(nil, `{"meta": {"k%d": "v"}}`, i))
			if err == nil {
				_, err = b.svc.Patch(t.Context(), owner, uid, p)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f, err := b.svc.File(t.Context(), owner, uid)
	must(t, err)
	if len(f.Meta) != 16 {
		t.Errorf("%d of 16 keys are there", len(f.Meta))
	}
}

func TestBlockList(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	for _, size := range []int{0, 1, bs, 2*bs + 1} {
		data := noise(size)
		uid := b.put(data)
		var want []byte
		for _, block := range blocksOfData(data) {
			want = append(want, block.SHA256[:]...)
		}
		l, err := b.svc.Blocks(t.Context(), owner, uid)
		must(t, err)
		if l.Size() != int64(len(want)) || l.File().UID != uid {
			t.Fatalf("size %d: list of %d bytes of %s", size, l.Size(), l.File().UID)
		}
		for off := range len(want) + 1 {
			for n := range len(want) - off + 1 {
				var got bytes.Buffer
				must(t, l.WriteRange(t.Context(), &got, int64(off), int64(n)))
				if !bytes.Equal(got.Bytes(), want[off:off+n]) {
					t.Fatalf("size %d: %d bytes from %d are wrong", size, n, off)
				}
			}
		}
		wantKind(t, l.WriteRange(t.Context(), new(bytes.Buffer), 0, int64(len(want))+1), protocol.KindRange)
	}
}

// A list longer than one row of the metadata, of blocks that need no bytes.
func TestBlockListOfManyBlocks(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	const count = 2*blocksAtOnce + 3
	blocks := make([]protocol.Block, count)
	var want []byte
	for i := range blocks {
		blocks[i].SHA256 = sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		want = append(want, blocks[i].SHA256[:]...)
	}
	uid := b.recorded(count*bs, blocks)
	l, err := b.svc.Blocks(t.Context(), owner, uid)
	must(t, err)
	for _, r := range [][2]int64{{0, l.Size()}, {1, l.Size() - 2}, {blocksAtOnce*32 - 1, 2}, {blocksAtOnce * 32, 32}, {2*blocksAtOnce*32 - 5, 50}} {
		var got bytes.Buffer
		must(t, l.WriteRange(t.Context(), &got, r[0], r[1]))
		if !bytes.Equal(got.Bytes(), want[r[0]:r[0]+r[1]]) {
			t.Fatalf("%d bytes from %d are wrong", r[1], r[0])
		}
	}
}

// recorded makes a File whose bytes are in the metadata only.
func (b *bench) recorded(size int64, blocks []protocol.Block) protocol.UID {
	b.t.Helper()
	ctx := b.t.Context()
	b.uid++
	_, err := b.db.BeginUpload(ctx, meta.NewUpload{FileFields: meta.FileFields{Owner: owner, Name: "big"}, UID: b.uid,
		CreatedAt: b.clock.Now(), Size: &size, PartSize: protocol.MinPartSize}, nil)
	must(b.t, err)
	e := b.blob(b.uid, nil)
	e.Length = size
	digest := protocol.DigestOf(blocks)
	_, err = b.db.Commit(ctx, meta.Commit{Owner: owner, UID: b.uid, CommittedAt: b.clock.Now(), Size: size, Digest: &digest,
		ETag: `"e"`, Blocks: blocks, Extents: []meta.Extent{e}})
	must(b.t, err)
	return b.uid
}
