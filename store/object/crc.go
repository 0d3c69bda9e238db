package object

import (
	"hash"
	"hash/crc64"

	"github.com/minio/crc64nvme"
)

// Polynomial is a kind of CRC-64. Both begin and end with all bits inverted.
type Polynomial uint64

// The kinds that object stores keep of objects.
const (
	ECMA Polynomial = crc64.ECMA     // OSS and COS; CRC-64/XZ
	NVME Polynomial = crc64nvme.NVME // S3
)

// New makes a sum of the kind.
func (p Polynomial) New() hash.Hash64 {
	if p == NVME {
		return crc64nvme.New()
	}
	return crc64.New(crc64.MakeTable(crc64.ECMA)) // made once, by the package
}

// Combine is the sum of two texts one after the other: of a first one with the
// sum a, and a second one with the sum b and n bytes.
func (p Polynomial) Combine(a, b uint64, n int64) uint64 {
	// Each byte that follows multiplies what the sum stands for by x^8.
	return p.times(p.power(n), a) ^ b
}

// one is the polynomial 1 where the highest bit is that of the lowest power.
const one = uint64(1) << 63

// power is x^(8n) modulo p.
func (p Polynomial) power(n int64) uint64 {
	result, square := one, one>>8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = p.times(square, result)
		}
		square = p.times(square, square)
	}
	return result
}

// times is a·b modulo p.
func (p Polynomial) times(a, b uint64) uint64 {
	var product uint64
	for ; a != 0; a <<= 1 {
		if a&one != 0 {
			product ^= b
		}
		low := b & 1
		b >>= 1
		if low != 0 {
			b ^= uint64(p)
		}
	}
	return product
}
