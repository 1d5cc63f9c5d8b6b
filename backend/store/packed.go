package store

import (
	"encoding/binary"
	"math/bits"
)

// Packed integers are the base of every column: unsigned 64-bit numbers in
// blocks of blockLen, each block bit-packed over its least value, so that any
// one of them is read without reading the others. Signed and floating-point
// numbers become unsigned ones of the same order first.

const (
	blockLen   = 1024
	blockBits  = 10
	dirEntry   = 16 // bytes of a block in the directory: base 8, offset 5, width 1, 2 unused
	packedTail = 8  // bytes after the data, so that a value is read by one 8-byte load
	maxWidth   = 56 // what an 8-byte load at any bit gives; wider blocks take 64
)

// packedRef says where packed integers lie in a segment.
type packedRef struct {
	data, dir uint64 // offsets in the segment
	size      uint64 // bytes of data, without packedTail
	n         uint64
	min, max  uint64 // of all values; meaningless when n is 0
}

func (r *packedRef) blocks() int { return int((r.n + blockLen - 1) / blockLen) }

// packer makes packed integers, one block after the other.
type packer struct {
	buf      []uint64
	total    uint64
	min, max uint64
	data     []byte
	dir      []byte
}

func (p *packer) push(v uint64) {
	if p.buf = append(p.buf, v); len(p.buf) == blockLen {
		p.flush()
	}
}

// count is the number of values pushed.
func (p *packer) count() uint64 { return p.total + uint64(len(p.buf)) }

func (p *packer) flush() {
	if len(p.buf) == 0 {
		return
	}
	values := p.buf
	lo, hi := values[0], values[0]
	for _, v := range values {
		lo, hi = min(lo, v), max(hi, v)
	}
	if p.total == 0 {
		p.min, p.max = lo, hi
	} else {
		p.min, p.max = min(p.min, lo), max(p.max, hi)
	}
	width := bits.Len64(hi - lo)
	if width > maxWidth {
		width = 64
	}
	p.dir = binary.LittleEndian.AppendUint64(p.dir, lo)
	p.dir = binary.LittleEndian.AppendUint64(p.dir, uint64(len(p.data))|uint64(width)<<40)
	p.data = appendPacked(p.data, values, lo, uint(width))
	p.total += uint64(len(values))
	p.buf = p.buf[:0]
}

func appendPacked(dst []byte, values []uint64, base uint64, width uint) []byte {
	if width == 0 {
		return dst
	}
	var acc uint64
	var have uint
	for _, v := range values {
		v -= base
		acc |= v << have
		have += width
		if have >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, acc)
			have -= 64
			acc = v >> (width - have) // 0 when nothing is left: a shift by 64 or more
		}
	}
	for ; have > 0; have -= min(have, 8) {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

// packed reads packed integers out of a segment.
type packed struct {
	src *source
	packedRef
}

// block returns the parts of block b, whose bytes are verified on the way.
func (p *packed) block(b int) (base uint64, width uint, data []byte, n int) {
	d := p.src.bytes(p.dir+uint64(b)*dirEntry, dirEntry)
	base = binary.LittleEndian.Uint64(d)
	ref := binary.LittleEndian.Uint64(d[8:])
	off := ref & (1<<40 - 1)
	width = uint(ref >> 40 & 0xff)
	n = int(min(blockLen, p.n-uint64(b)*blockLen))
	size := (uint64(n)*uint64(width) + 7) / 8
	if width > 64 || width > maxWidth && width != 64 || off+size > p.size {
		p.src.fail("block of packed integers out of range")
	}
	return base, width, p.src.bytes(p.data+off, size+packedTail), n
}

// get returns value i, which must be below n.
func (p *packed) get(i uint64) uint64 {
	if i >= p.n {
		p.src.fail("position beyond the column")
	}
	base, width, data, _ := p.block(int(i >> blockBits))
	if width == 0 {
		return base
	}
	bit := uint(i&(blockLen-1)) * width
	v := binary.LittleEndian.Uint64(data[bit>>3:])
	if width == 64 {
		return base + v
	}
	return base + v>>(bit&7)&(1<<width-1)
}

// unpack appends nothing: it fills dst with block b and returns its values.
func (p *packed) unpack(b int, dst *[blockLen]uint64) []uint64 {
	base, width, data, n := p.block(b)
	out := dst[:n]
	switch width {
	case 0:
		for i := range out {
			out[i] = base
		}
	case 8:
		data = data[:len(out)]
		for i, b := range data {
			out[i] = base + uint64(b)
		}
	case 64:
		for i := range out {
			out[i] = base + binary.LittleEndian.Uint64(data[i*8:])
		}
	default:
		mask := uint64(1)<<width - 1
		bit := uint(0)
		for i := range out {
			out[i] = base + binary.LittleEndian.Uint64(data[bit>>3:])>>(bit&7)&mask
			bit += width
		}
	}
	return out
}

// pick reads single values of packed integers, parsing the block that the last
// one was in only once.
type pick struct {
	packed
	at    int // block, -1 for none
	base  uint64
	width uint
	data  []byte
	n     int
}

func newPick(p packed) pick { return pick{packed: p, at: -1} }

func (p *pick) get(i uint64) uint64 {
	if b := int(i >> blockBits); b != p.at {
		if i >= p.packed.n {
			p.src.fail("position beyond the column")
		}
		p.base, p.width, p.data, p.n = p.block(b)
		p.at = b
	}
	if int(i&(blockLen-1)) >= p.n {
		p.src.fail("position beyond the column")
	}
	if p.width == 0 {
		return p.base
	}
	bit := uint(i&(blockLen-1)) * p.width
	v := binary.LittleEndian.Uint64(p.data[bit>>3:])
	if p.width == 64 {
		return p.base + v
	}
	return p.base + v>>(bit&7)&(1<<p.width-1)
}

// cursor reads packed integers by position, fast when positions grow slowly. The
// zero value of block is invalid; make one with newCursor.
type cursor struct {
	packed
	at     int // block in values, -1 for none
	values []uint64
	buf    [blockLen]uint64
}

func newCursor(p packed) *cursor { return &cursor{packed: p, at: -1} }

func (c *cursor) get(i uint64) uint64 {
	b := int(i >> blockBits)
	if b != c.at {
		if i >= c.n {
			c.src.fail("position beyond the column")
		}
		c.values, c.at = c.unpack(b, &c.buf), b
	}
	j := int(i & (blockLen - 1))
	if j >= len(c.values) {
		c.src.fail("position beyond the column")
	}
	return c.values[j]
}

// Order-preserving translations to unsigned numbers.

func fromInt(v int64) uint64 { return uint64(v) ^ 1<<63 }
func toInt(u uint64) int64   { return int64(u ^ 1<<63) }

func fromFloatBits(b uint64) uint64 {
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

func toFloatBits(u uint64) uint64 {
	if u>>63 != 0 {
		return u &^ (1 << 63)
	}
	return ^u
}
