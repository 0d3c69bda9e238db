package predecessor

import (
	"crypto/md5"
	"encoding/hex"
	"mime"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/protocol"
)

// uploaded is the status of a row whose bytes are there. All others are of links
// that nobody has used to the end.
const uploaded = 1

// row is what osproxy knows of a uid.
type row struct {
	uid int64
	// bucket and stored are where the object is. Those of image, video and so on
	// are chosen by the name's extension.
	bucket, stored string
	// name is the file's, with the characters that an address may not have as
	// %XX, unless it was taken over from a request as it was.
	name      string
	md5, kind string
	size      *int64
	status    int64
	created   time.Time
	// multi: the file was never merged, and is its parts.
	multi   bool
	partNum int64
	parts   []piece
	// others is how many rows more have the uid, differ that they mean another
	// object.
	others int64
	differ bool
}

// piece is one object of osproxy's, with the size that its row says.
type piece struct {
	Number int64  `json:"n"`
	Bucket string `json:"b"`
	Name   string `json:"o"`
	Size   *int64 `json:"s"`
}

func (p piece) object() string { return p.Bucket + "/" + p.Name }

// object is how osproxy calls the object of the whole.
func (r row) object() string { return r.bucket + "/" + r.stored }

// pieces are the objects that hold the bytes.
func (r row) pieces() []piece {
	if r.multi {
		return r.parts
	}
	return []piece{{Bucket: r.bucket, Name: r.stored, Size: r.size}}
}

// plan says what File is to be made of the row.
func (it *item) plan(owner protocol.Owner, ignoreMD5 bool) {
	it.file = meta.Inherited{UID: protocol.UID(it.uid), Unsaid: ignoreMD5, FileFields: meta.FileFields{
		Owner: owner, Name: it.name, MediaType: it.mediaType(),
		Imported: meta.Imported{From: "osproxy:" + strconv.FormatInt(it.uid, 10), ModifiedAt: it.created},
	}}
	if !meta.Inheritable(it.uid) {
		it.fail(Failed, "the uid is not one that a File can have: it is below 1, or leaves too few above it for new files")
		return
	}
	given := it.givenName()
	it.file.Name = names.Mend(given, it.plainName())
	if it.file.Name != given {
		it.note(Renamed, "no File can be called %q; it is called %q", given, it.file.Name)
	}
	if sum, ok := sumOf(it.md5); ignoreMD5 {
		it.sum = nil
	} else if ok {
		it.sum, it.file.MD5 = &sum, &sum
	} else {
		it.note(Unsummed, "the MD5 of its row, %.40q, is none; its bytes are taken as they are", it.md5)
	}
	if it.differ {
		it.note(Doubled, "%d more rows have this uid, and not all mean one object; the first that was uploaded is taken, as osproxy takes it", it.others)
	}
	it.checkParts()
}

// checkParts refuses a file of parts of which osproxy does not have all.
func (it *item) checkParts() {
	if !it.multi {
		return
	}
	if int64(len(it.parts)) != it.partNum {
		it.fail(Failed, "it was never merged, and has %d parts of %d", len(it.parts), it.partNum)
		return
	}
	for i, p := range it.parts {
		if i > 0 && p.Number == it.parts[i-1].Number {
			it.fail(Failed, "it was never merged, and has its part %d twice", p.Number)
			return
		}
	}
}

// givenName is the name as osproxy shows it to clients.
func (r row) givenName() string {
	if name, err := url.PathUnescape(r.name); err == nil {
		return name
	}
	return r.name // with a % of its own
}

// plainName is one that every file can have: as osproxy names objects.
func (r row) plainName() string {
	name := strconv.FormatInt(r.uid, 10)
	if ext := path.Ext(r.stored); len(ext) < 20 && names.Check(name+ext) == nil {
		name += ext
	}
	return name
}

// mediaType is the row's, else what the name says; nil leaves it to the bytes.
func (r row) mediaType() *string {
	kind := strings.TrimSpace(r.kind)
	if protocol.CheckMediaType(kind) != nil {
		kind, _, _ = strings.Cut(mime.TypeByExtension(path.Ext(r.stored)), ";")
	}
	if protocol.CheckMediaType(kind) != nil {
		return nil
	}
	return &kind
}

// sumOf reads an MD5 of hexadecimal digits, large or small.
func sumOf(text string) (sum [md5.Size]byte, ok bool) {
	b, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) != len(sum) {
		return sum, false
	}
	return [md5.Size]byte(b), true
}
