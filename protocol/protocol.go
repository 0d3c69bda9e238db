// Package protocol is the vocabulary that osp and ospd share: ids, records,
// messages, the route table, the table of error kinds, and the pure functions
// (digest, fingerprint, proof, part layout) on which both sides must agree to
// the bit.
//
// Read this file first. It declares the nouns; message.go the requests and
// answers, event.go what is told of, token.go who may do what, route.go the routes, error.go the kinds
// of error and problem.go how one travels. digest.go, fingerprint.go, part.go
// and proof.go are the functions; name.go, check.go and request.go refuse what
// is not allowed. Their vectors are in testdata/vectors.json. Nothing here knows a server, a
// database or a storage vendor: the package imports the standard library and
// zeebo/xxh3 and is imported by everything else.
package protocol

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Limits of the wire, fixed by version 1 of the API.
const (
	// BlockSize is the unit of verification: content is cut into blocks of
	// 4 MiB, the last one shorter.
	BlockSize = 4 << 20
	// HeadSize is how much of a block's beginning has an XXH3 of its own; the
	// fingerprint is made of these.
	HeadSize = 64 << 10
	// MinPartSize is the part size of every upload small enough for it.
	MinPartSize = 8 << 20
	// MinPartSizeUnknown is the smallest part size of an upload begun without
	// a size.
	MinPartSizeUnknown = 16 << 20
	// MaxParts is the highest part number.
	MaxParts = 10_000
	// MaxPartSize bounds a part, and with MaxParts a file.
	MaxPartSize = 4 << 30
	// MaxSize is the largest file: MaxParts parts of MaxPartSize bytes.
	MaxSize = MaxParts * MaxPartSize
	// OneShotMax is the largest body of POST /v1/files.
	OneShotMax = 1 << 20
	// MaxProbeItems is how many contents one request may ask for
	// (POST /v1/uploads/probe).
	MaxProbeItems = 1000
	// MaxNameBytes and MaxSegmentBytes bound a file's name and each of its
	// segments, in bytes of UTF-8.
	MaxNameBytes    = 1024
	MaxSegmentBytes = 255
)

// UID identifies a File for ever: 41 bits of milliseconds since Epoch, 10
// bits of worker number, 12 bits of sequence. It is decimal text on the wire,
// a string in JSON, and is never zero.
type UID uint64

// Epoch is the instant from which the time in a UID counts.
var Epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// maxUIDDigits is the length of the longest spelling.
const maxUIDDigits = 19

// ParseUID reads the one spelling a UID has: [1-9][0-9]{0,18}. Any other text is
// KindBadUID. A number of more than 63 bits is well spelled, and KindNotFound,
// since none is ever minted.
func ParseUID(s string) (UID, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || len(s) > maxUIDDigits || n == 0 || s[0] == '0' {
		return 0, &Error{Kind: KindBadUID, Message: fmt.Sprintf("%.40q is not a uid", s),
			Hint: "A uid is 1 to 19 decimal digits without a leading zero."}
	}
	if n > math.MaxInt64 {
		return 0, &Error{Kind: KindNotFound, Message: s + " is no uid that was ever given out"}
	}
	return UID(n), nil
}

// String is the decimal spelling.
func (u UID) String() string { return strconv.FormatUint(uint64(u), 10) }

// MarshalText makes a UID a string in JSON.
func (u UID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText accepts what ParseUID accepts.
func (u *UID) UnmarshalText(b []byte) (err error) {
	*u, err = ParseUID(string(b))
	return err
}

// Time is the millisecond a UID was minted in, by the daemon's clock.
func (u UID) Time() time.Time { return Epoch.Add(time.Duration(u>>22) * time.Millisecond) }

// Owner is whom a token belongs to. Every record has one.
type Owner string

// OwnerLocal owns everything while the daemon is open (has no tokens).
const OwnerLocal Owner = "local"

// Digest identifies content: SHA-256 over the concatenated SHA-256 digests of
// its blocks. It is not the plain SHA-256 of the content.
type Digest [32]byte

// String is 64 lower-case hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText is String.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText accepts exactly what String prints.
func (d *Digest) UnmarshalText(b []byte) error { return unmarshalHex(d[:], b, "digest") }

// ParseDigest reads 64 lower-case hex digits.
func ParseDigest(s string) (d Digest, err error) {
	err = d.UnmarshalText([]byte(s))
	return d, err
}

// XXH3 is an XXH3-128 with seed 0 in canonical (big-endian) form: a checksum
// against accidents, never an identity.
type XXH3 [16]byte

// String is 32 lower-case hex digits.
func (x XXH3) String() string { return hex.EncodeToString(x[:]) }

// MarshalText is String.
func (x XXH3) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, x[:]), nil }

// UnmarshalText accepts exactly what String prints.
func (x *XXH3) UnmarshalText(b []byte) error { return unmarshalHex(x[:], b, "XXH3") }

// ParseXXH3 reads 32 lower-case hex digits.
func ParseXXH3(s string) (x XXH3, err error) {
	err = x.UnmarshalText([]byte(s))
	return x, err
}

// Fingerprint is a cheap hint that content may be known already: an XXH3-128
// over the size and sample windows. It is never proof of anything.
type Fingerprint [16]byte

// String is 32 lower-case hex digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// MarshalText is String.
func (f Fingerprint) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, f[:]), nil }

// UnmarshalText accepts exactly what String prints.
func (f *Fingerprint) UnmarshalText(b []byte) error { return unmarshalHex(f[:], b, "fingerprint") }

// unmarshalHex fills dst from exactly 2·len(dst) lower-case hex digits.
func unmarshalHex(dst, src []byte, what string) error {
	bad := &Error{Kind: KindBadRequest, Message: fmt.Sprintf("%.80q is not a %s", src, what),
		Hint: fmt.Sprintf("Expected %d lower-case hex digits.", 2*len(dst))}
	if len(src) != 2*len(dst) {
		return bad
	}
	for _, c := range src {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return bad
		}
	}
	_, err := hex.Decode(dst, src)
	return err
}

// Block is what is recorded of one block of content.
type Block struct {
	// SHA256 is the block's identity; the Digest is made of these.
	SHA256 [32]byte
	// XXH3 is compared before the block is served.
	XXH3 XXH3
	// Head is the XXH3 of the block's first HeadSize bytes (or of the whole
	// block where it is shorter); the Fingerprint is made of these.
	Head XXH3
}

// PartNumber counts the parts of an upload from 1.
type PartNumber int

// Part is a contiguous, block-aligned range of an upload as the daemon holds it.
type Part struct {
	Number PartNumber `json:"number"`
	Offset int64      `json:"offset"`
	Length int64      `json:"length"`
	XXH3   XXH3       `json:"xxh3"`
}

// UploadState is where an upload stands. An aborted one is not found.
type UploadState string

// The states of an upload that a caller can see.
const (
	UploadOpen      UploadState = "open"
	UploadCommitted UploadState = "committed"
)

// Upload is a File in the making; it has the uid the File will have.
type Upload struct {
	UID   UID         `json:"uid"`
	State UploadState `json:"state"`
	Name  string      `json:"name"`
	// Size is nil while unknown.
	Size      *int64            `json:"size"`
	PartSize  int64             `json:"part_size"`
	MediaType *string           `json:"media_type"`
	Meta      map[string]string `json:"meta"`
	CreatedAt Time              `json:"created_at"`
	// AbandonedAt is when the daemon will give the upload up unless another
	// part begins.
	AbandonedAt Time `json:"abandoned_at"`
	// Maybe says that a claim may succeed.
	Maybe bool `json:"maybe"`
	// Parts are those the daemon holds, by number. Listings show an
	// UploadSummary, which has none.
	Parts []Part `json:"parts"`
	// File is set once the upload is committed.
	File *File `json:"file"`
}

// File is what an application stores the uid of.
type File struct {
	UID   UID    `json:"uid"`
	Owner Owner  `json:"owner"`
	Name  string `json:"name"`
	Size  int64  `json:"size"`
	// Digest is nil until known.
	Digest *Digest `json:"digest"`
	// SHA256 and MD5 are the plain hashes in hex, nil until known.
	SHA256 *string `json:"sha256"`
	MD5    *string `json:"md5"`
	// ETag includes its quotes and never changes.
	ETag        string            `json:"etag"`
	MediaType   *string           `json:"media_type"`
	Meta        map[string]string `json:"meta"`
	CreatedAt   Time              `json:"created_at"`
	CommittedAt Time              `json:"committed_at"`
	ExpiresAt   *Time             `json:"expires_at"`
}

// Time is an instant on the wire: RFC 3339, UTC, milliseconds.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// TimeOf cuts t to what the wire carries.
func TimeOf(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// String is the wire form.
func (t Time) String() string { return t.UTC().Format(timeLayout) }

// MarshalText is String.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON is String in quotes; it hides the one of time.Time.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// UnmarshalJSON accepts any RFC 3339 time and cuts it to milliseconds.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return Errorf(KindBadRequest, "a time is a string in RFC 3339 form, not %.40s", b)
	}
	return t.UnmarshalText([]byte(s))
}

// UnmarshalText accepts any RFC 3339 time whose year in UTC has four digits,
// and cuts it to milliseconds.
func (t *Time) UnmarshalText(b []byte) error {
	v, err := time.Parse(time.RFC3339, string(b))
	// time.Parse also takes hours of one digit and a comma (go.dev/issue/54580).
	loose := len(b) < len("2026-11-22T10:") || b[len("2026-11-22T10")] != ':' || bytes.IndexByte(b, ',') >= 0
	if year := v.UTC().Year(); err != nil || loose || year < 0 || year > 9999 {
		return &Error{Kind: KindBadRequest, Message: fmt.Sprintf("%.40q is not a time", b),
			Hint: "Use RFC 3339, for example 2026-11-22T10:00:00.000Z."}
	}
	*t = TimeOf(v)
	return nil
}
