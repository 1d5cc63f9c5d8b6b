package store

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// A bloom filter of blocks of 256 bits: a key sets one bit in each of the eight
// 32-bit words of one block, so that a look-up touches one cache line. At 10.7
// bits for a key about one absent key in a hundred is taken for present.
// (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters;
// the salts are those of Parquet's split-block filter.)

const bloomBlock = 32 // bytes

var bloomSalt = [8]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}

// bloomSize is the bytes of a filter for n keys.
func bloomSize(n int) int { return max(1, (n+23)/24) * bloomBlock }

func bloomAt(size int, h uint64) int {
	hi, _ := bits.Mul64(h, uint64(size/bloomBlock))
	return int(hi) * bloomBlock
}

func bloomAdd(filter []byte, h uint64) {
	b := filter[bloomAt(len(filter), h):]
	for i, salt := range bloomSalt {
		w := binary.LittleEndian.Uint32(b[i*4:])
		binary.LittleEndian.PutUint32(b[i*4:], w|1<<(uint32(h)*salt>>27))
	}
}

func bloomHas(filter []byte, h uint64) bool {
	if len(filter) < bloomBlock {
		return true
	}
	b := filter[bloomAt(len(filter), h):]
	for i, salt := range bloomSalt {
		if binary.LittleEndian.Uint32(b[i*4:])>>(uint32(h)*salt>>27)&1 == 0 {
			return false
		}
	}
	return true
}

// hashBytes is the hash of the file format: it must give the same in every
// process, so it is not one of those with a seed. It reads eight bytes at a time
// and multiplies to 128 bits (the idea of wyhash).
func hashBytes[T string | []byte](s T) uint64 {
	const k0, k1 = 0xa0761d6478bd642f, 0xe7037ed1a0b428db
	h := uint64(len(s)) ^ k0
	for len(s) > 8 {
		h = mix(h^load64(s), k1)
		s = s[8:]
	}
	var last uint64
	for i := range len(s) {
		last |= uint64(s[i]) << (8 * i)
	}
	h = mix(h^last, k1)
	return mix(h, k0)
}

func load64[T string | []byte](s T) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// seed makes the tables in memory unpredictable for those who send the keys.
var seed = maphash.MakeSeed()
