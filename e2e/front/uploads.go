package front

import (
	"cmp"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// uploads are the multipart uploads that were begun here and are not finished.
// They are listed from here: MinIO lists those of one key alone.
type uploads struct {
	mu   sync.Mutex
	open map[string]*upload
}

// upload is one of them.
type upload struct {
	id    string
	key   string
	begun time.Time
	parts map[int]part
}

// part is what is known of a part, so that it can be read again: S3 joins no
// part that is as small as the vendors allow.
type part struct {
	etag string
	size int64
	body *spooled // of one that was sent
	// of one that was copied
	source, pin string
	offset      int64
}

func (p part) drop() error {
	if p.body == nil {
		return nil
	}
	return p.body.drop()
}

func (u *uploads) add(id, key string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open[id] = &upload{id, key, now, map[int]part{}}
}

func (u *uploads) has(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.open[id] != nil
}

// set records a part; one that had its number is forgotten.
func (u *uploads) set(id string, n int, p part) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	up := u.open[id]
	if up == nil {
		return p.drop() // begun before this front was
	}
	old := up.parts[n]
	up.parts[n] = p
	return old.drop()
}

// parts gives what is known of an upload's parts.
func (u *uploads) parts(id string) map[int]part {
	u.mu.Lock()
	defer u.mu.Unlock()
	known := map[int]part{}
	if up := u.open[id]; up != nil {
		for n, p := range up.parts {
			known[n] = p
		}
	}
	return known
}

func (u *uploads) remove(id string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	up := u.open[id]
	delete(u.open, id)
	if up == nil {
		return nil
	}
	var errs []error
	for _, p := range up.parts {
		errs = append(errs, p.drop())
	}
	return errors.Join(errs...)
}

func (u *uploads) close() error {
	var errs []error
	for _, up := range u.after("", "", "") {
		errs = append(errs, u.remove(up.id))
	}
	return errors.Join(errs...)
}

// after lists uploads of keys with a prefix, behind a key and an id.
func (u *uploads) after(prefix, key, id string) []*upload {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []*upload
	for _, up := range u.open {
		if strings.HasPrefix(up.key, prefix) && (up.key > key || up.key == key && id != "" && up.id > id) {
			all = append(all, up)
		}
	}
	slices.SortFunc(all, func(a, b *upload) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id)) })
	return all
}

type uploadList struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string
	NextUploadIDMarker string `xml:"NextUploadIdMarker"`
	Prefix             string
	EncodingType       string `xml:"EncodingType,omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Upload             []listedUpload
}

type listedUpload struct {
	Key       string
	UploadID  string `xml:"UploadId"`
	Initiated string
}

func (f *Front) listUploads(w http.ResponseWriter, c *call) error {
	q := c.URL.Query()
	spell := func(s string) string { return s }
	if q.Get("encoding-type") == "url" {
		spell = url.QueryEscape
	}
	size, err := strconv.Atoi(cmp.Or(q.Get("max-uploads"), "1000"))
	if err != nil || size < 1 || size > 1000 {
		return Refuse(http.StatusBadRequest, "InvalidArgument", "max-uploads is %q", q.Get("max-uploads"))
	}
	all := f.uploads.after(q.Get("prefix"), q.Get("key-marker"), q.Get("upload-id-marker"))
	out := uploadList{
		Bucket: f.Upstream.Bucket, KeyMarker: spell(q.Get("key-marker")), UploadIDMarker: q.Get("upload-id-marker"), Prefix: spell(q.Get("prefix")),
		EncodingType: q.Get("encoding-type"), MaxUploads: size, IsTruncated: len(all) > size,
	}
	for _, u := range all[:min(size, len(all))] {
		out.Upload = append(out.Upload, listedUpload{spell(u.key), u.id, u.begun.UTC().Format("2006-01-02T15:04:05.000Z")})
	}
	if out.IsTruncated {
		out.NextKeyMarker, out.NextUploadIDMarker = spell(all[size-1].key), all[size-1].id
	}
	body, err := xml.Marshal(out)
	if err != nil {
		return err
	}
	return write(w, append([]byte(xml.Header), body...))
}
