package protocol

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// SizeUnknown is the Size of the Layout of an upload begun without a size.
const SizeUnknown = -1

// PartSizeFor is the part size of an upload of size bytes: MinPartSize,
// doubled until there are at most MaxParts parts (WIRE 4). It never exceeds
// MaxPartSize; sizes that would need more are what CheckSize refuses.
func PartSizeFor(size int64) int64 { return doubled(MinPartSize, size) }

// PartSizeForUnknown is the part size of an upload begun without a size, as
// PartSizeFor but from MinPartSizeUnknown, by the caller's hint of the size
// (nil: none). A hint may be wrong: one that is negative or beyond MaxSize is
// no error.
func PartSizeForUnknown(hint *int64) int64 {
	if hint == nil {
		return MinPartSizeUnknown
	}
	return doubled(MinPartSizeUnknown, *hint)
}

func doubled(partSize, size int64) int64 {
	for partSize < MaxPartSize && size > MaxParts*partSize {
		partSize *= 2
	}
	return partSize
}

// CheckSize refuses a size that no file can have: KindBadRequest for a
// negative one, KindTooLarge beyond MaxSize (WIRE 4).
func CheckSize(size int64) error {
	switch {
	case size < 0:
		return Errorf(KindBadRequest, "a size is not negative, this one is %d", size)
	case size > MaxSize:
		return Errorf(KindTooLarge, "%d bytes are more than the %d a file can have", size, int64(MaxSize))
	}
	return nil
}

// Layout is how an upload is cut into parts: part n begins at
// (n-1)·PartSize and has PartSize bytes, the last one what remains (WIRE 5).
type Layout struct {
	// Size is the length of the file in bytes, or SizeUnknown.
	Size int64
	// PartSize is a positive multiple of BlockSize.
	PartSize int64
}

// Check refuses a layout that no upload has, so that one read from a peer or
// from a disk can be relied on. Parts are then whole blocks (but the last one)
// and at most MaxParts.
func (l Layout) Check() error {
	switch {
	case l.PartSize < BlockSize || l.PartSize > MaxPartSize || l.PartSize%BlockSize != 0:
		return Errorf(KindBadRequest, "%d is no part size", l.PartSize)
	case l.Size == SizeUnknown:
		return nil
	case l.Size > MaxParts*l.PartSize:
		return Errorf(KindTooManyParts, "%d bytes are more than %d parts of %d bytes", l.Size, MaxParts, l.PartSize)
	}
	return CheckSize(l.Size)
}

// Count is the number of parts: 0 for an empty file, MaxParts, as an upper
// bound, while the size is unknown.
func (l Layout) Count() PartNumber {
	switch {
	case l.Size < 0:
		return MaxParts
	case l.Size == 0:
		return 0
	}
	return PartNumber((l.Size-1)/l.PartSize + 1)
}

// Range is where part n lies. While the size is unknown, length is the most
// the part can have. A number below 1 or beyond the last part of a known size
// is KindBadPart, one beyond MaxParts of an unknown size KindTooManyParts.
func (l Layout) Range(n PartNumber) (offset, length int64, err error) {
	count := l.Count()
	switch {
	case n < 1:
		return 0, 0, Errorf(KindBadPart, "parts are numbered from 1, there is no part %d", n)
	case n <= count:
	case l.Size < 0:
		return 0, 0, &Error{Kind: KindTooManyParts,
			Message: fmt.Sprintf("part %d is beyond the last possible one, %d", n, MaxParts),
			Hint:    "Begin the upload with its size, or with a size_hint, to get larger parts."}
	default:
		return 0, 0, Errorf(KindBadPart, "there is no part %d: %d bytes are %d parts of %d", n, l.Size, count, l.PartSize)
	}
	offset = int64(n-1) * l.PartSize
	if l.Size < 0 {
		return offset, l.PartSize, nil
	}
	return offset, min(l.PartSize, l.Size-offset), nil
}

// CheckLength refuses a part of another length than the layout has for it:
// KindBadLength. While the size is unknown, 1 to PartSize bytes will do. A bad
// number is the error of Range.
func (l Layout) CheckLength(n PartNumber, length int64) error {
	_, want, err := l.Range(n)
	switch {
	case err != nil:
		return err
	case l.Size < 0 && (length < 1 || length > want):
		return Errorf(KindBadLength, "part %d has %d bytes, not 1 to %d; nothing was kept of it", n, length, want)
	case l.Size >= 0 && length != want:
		return Errorf(KindBadLength, "part %d has %d bytes, not %d; nothing was kept of it", n, length, want)
	}
	return nil
}

// ParsePartNumber reads a part number as it stands in a path: decimal, from 1,
// without leading zeros or sign; anything else is KindBadPart. A number that
// is too large for any upload is not an error here: Layout.Range knows which
// error it is (and for it the largest of numbers stands for all).
func ParsePartNumber(s string) (PartNumber, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if errors.Is(err, strconv.ErrRange) {
		n, err = math.MaxInt32, nil
	}
	if err != nil || s[0] < '1' || s[0] > '9' {
		return 0, &Error{Kind: KindBadPart, Message: fmt.Sprintf("%.40q is not a part number", s),
			Hint: "Parts are numbered 1, 2, 3, …, without leading zeros."}
	}
	return PartNumber(n), nil
}

// MissingParts are the numbers of 1 to count that are not in have, which
// ascends, as inclusive ranges (the "missing" of WIRE 6). It is empty, not
// nil, when none is missing.
func MissingParts(have []PartNumber, count PartNumber) [][2]PartNumber {
	missing := [][2]PartNumber{}
	next := PartNumber(1)
	for _, n := range have {
		if n > count {
			break
		}
		if n > next {
			missing = append(missing, [2]PartNumber{next, n - 1})
		}
		next = max(next, n+1)
	}
	if next <= count {
		missing = append(missing, [2]PartNumber{next, count})
	}
	return missing
}
