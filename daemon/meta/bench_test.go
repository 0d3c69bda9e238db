package meta_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

func openBench(b *testing.B) *meta.DB {
	b.Helper()
	db := metatest.OpenDB(b, meta.Config{Path: filepath.Join(b.TempDir(), "meta.db")})
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// BenchmarkPutFile is the whole transaction of a small file, durable, from
// many callers at once.
func BenchmarkPutFile(b *testing.B) {
	db := openBench(b)
	var n atomic.Int64
	b.SetParallelism(32)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			i := n.Add(1)
			_, err := db.PutFile(b.Context(), meta.NewFile{FileFields: meta.FileFields{Owner: "o", Name: "n"}, UID: protocol.UID(i),
				CommittedAt: time.Now(), Size: 5, Digest: protocol.Digest{byte(i), byte(i >> 8), byte(i >> 16)}, ETag: `"e"`,
				Blocks: make([]protocol.Block, 1), Blob: &meta.NewBlob{Store: "disk", Key: fmt.Sprintf("00000000/%032x", i), Size: 5}}, nil)
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRecordPart is one part after the other of one upload.
func BenchmarkRecordPart(b *testing.B) {
	db := openBench(b)
	u, err := db.BeginUpload(b.Context(), meta.NewUpload{FileFields: meta.FileFields{Owner: "o", Name: "n"}, UID: 1, CreatedAt: time.Now(),
		PartSize: protocol.MinPartSize, InPlace: &meta.NewBlob{Store: "disk", Key: "k"}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		_, err := db.RecordPart(b.Context(), "o", 1, meta.NewPart{Number: protocol.PartNumber(1 + i%protocol.MaxParts), Offset: int64(i), Length: 1,
			Blocks: make([]protocol.Block, 2), Blob: u.Blob, BootID: "b"})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkContent is what a download asks first.
func BenchmarkContent(b *testing.B) {
	db := openBench(b)
	_, err := db.PutFile(b.Context(), meta.NewFile{FileFields: meta.FileFields{Owner: "o", Name: "n"}, UID: 1, CommittedAt: time.Now(), Size: 5,
		ETag: `"e"`, Blocks: make([]protocol.Block, 1), Blob: &meta.NewBlob{Store: "disk", Key: "k", Size: 5}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := db.Content(b.Context(), "o", 1); err != nil {
			b.Fatal(err)
		}
	}
}
