package store

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Lists of strings in a segment: a table is plain and read by position; pages
// are compressed, for values that hardly repeat.

// tableRef says where a table of strings lies.
type tableRef struct {
	ends packedRef // of each string in the heap
	heap uint64
	size uint64
}

func (w *fileWriter) table(l *stringList) tableRef {
	var p packer
	for _, e := range l.ends {
		p.push(uint64(e))
	}
	return tableRef{heap: w.write(l.heap), size: uint64(len(l.heap)), ends: w.packed(&p)}
}

// table reads strings by position.
type table struct {
	src *source
	tableRef
}

func (t *table) len() int { return int(t.ends.n) }

// at returns string i as part of the segment.
func (t *table) at(i uint64) []byte {
	ends := packed{t.src, t.ends}
	from, to := uint64(0), ends.get(i)
	if i > 0 {
		from = ends.get(i - 1)
	}
	if from > to || to > t.size {
		t.src.fail("string beyond its table")
	}
	return t.src.bytes(t.heap+from, to-from)
}

// each calls f with every string, until it returns false.
func (t *table) each(f func(i int, s []byte) bool) {
	c := newCursor(packed{t.src, t.ends})
	from := uint64(0)
	for i := range t.len() {
		to := c.get(uint64(i))
		if from > to || to > t.size {
			t.src.fail("string beyond its table")
		}
		if !f(i, t.src.bytes(t.heap+from, to-from)) {
			return
		}
		from = to
	}
}

// find returns the position of a string in a sorted table, -1 when it is not there.
func (t *table) find(s string) int {
	lo, hi := 0, t.len()
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch c := strings.Compare(unsafeString(t.at(uint64(mid))), s); {
		case c == 0:
			return mid
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return -1
}

// sorted returns the strings in order, and what number each has now.
func (l *stringList) sorted() (*stringList, []uint32) {
	order := make([]uint32, l.len())
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return strings.Compare(unsafeString(l.at(int(a))), unsafeString(l.at(int(b))))
	})
	out := &stringList{heap: make([]byte, 0, len(l.heap)), ends: make([]uint32, 0, len(l.ends))}
	remap := make([]uint32, len(order))
	for n, old := range order {
		out.push(unsafeString(l.at(int(old))))
		remap[old] = uint32(n)
	}
	return out, remap
}

// pagesRef says where pages of strings lie.
type pagesRef struct {
	first   packedRef // position of the first string of each page
	ends    packedRef // of each page in data
	bloomAt packedRef // end of each page's filter
	data    uint64
	size    uint64
	blooms  uint64
	bloomsN uint64
	n       uint64 // strings
}

const (
	pageTexts = 1024
	pageBytes = 64 << 10 // a page ends when it has as many

	pagePlain = 0
	pageZstd  = 1
)

// pageWriter makes pages of strings.
type pageWriter struct {
	sink   func([]byte) // takes what is made
	lens   []byte
	body   []byte
	hashes []uint64
	out    []byte

	n, size              uint64
	first, ends, bloomAt packer
	blooms               []byte
}

var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}}

func (p *pageWriter) push(s []byte) {
	p.lens = binary.AppendUvarint(p.lens, uint64(len(s)))
	p.body = append(p.body, s...)
	p.hashes = append(p.hashes, hashBytes(s))
	if len(p.hashes) == pageTexts || len(p.body) >= pageBytes {
		p.flush()
	}
}

func (p *pageWriter) flush() {
	if len(p.hashes) == 0 {
		return
	}
	p.first.push(p.n)
	p.n += uint64(len(p.hashes))
	at := len(p.blooms)
	p.blooms = append(p.blooms, make([]byte, bloomSize(len(p.hashes)))...)
	for _, h := range p.hashes {
		bloomAdd(p.blooms[at:], h)
	}
	p.bloomAt.push(uint64(len(p.blooms)))
	p.lens = append(p.lens, p.body...)
	e := encoders.Get().(*zstd.Encoder)
	p.out = e.EncodeAll(p.lens, append(p.out[:0], pageZstd))
	encoders.Put(e)
	if len(p.out) > len(p.lens) {
		p.out = append(append(p.out[:0], pagePlain), p.lens...)
	}
	p.sink(p.out)
	p.size += uint64(len(p.out))
	p.ends.push(p.size)
	p.lens, p.body, p.hashes = p.lens[:0], p.body[:0], p.hashes[:0]
}

// finish writes what describes the pages, whose data lies at data.
func (p *pageWriter) finish(w *fileWriter, data uint64) pagesRef {
	return pagesRef{
		data: data, size: p.size, n: p.n, blooms: w.write(p.blooms), bloomsN: uint64(len(p.blooms)),
		first: w.packed(&p.first), ends: w.packed(&p.ends), bloomAt: w.packed(&p.bloomAt),
	}
}

// pages reads strings in pages.
type pages struct {
	src *source
	pagesRef
}

// find returns the page that string i is in.
func (p *pages) find(i uint64) int {
	first := packed{p.src, p.first}
	lo, hi := uint64(0), first.n
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		if first.get(mid) <= i {
			lo = mid
		} else {
			hi = mid
		}
	}
	return int(lo)
}

// mayHave says whether a string may be in page k.
func (p *pages) mayHave(k int, hash uint64) bool {
	at := packed{p.src, p.bloomAt}
	from, to := uint64(0), at.get(uint64(k))
	if k > 0 {
		from = at.get(uint64(k) - 1)
	}
	if from > to || to > p.bloomsN || (to-from)%bloomBlock != 0 {
		p.src.fail("filter beyond its column")
	}
	return bloomHas(p.src.bytes(p.blooms+from, to-from), hash)
}

// page is one page read: its strings are parts of text.
type page struct {
	first uint64
	ends  []uint32
	text  []byte
	raw   []byte
}

func (g *page) has(i uint64) bool { return i >= g.first && i-g.first < uint64(len(g.ends)) }

func (g *page) at(i uint64) []byte {
	j := i - g.first
	from := uint32(0)
	if j > 0 {
		from = g.ends[j-1]
	}
	return g.text[from:g.ends[j]]
}

// read reads page k into g.
func (p *pages) read(k int, g *page) {
	first, at := packed{p.src, p.first}, packed{p.src, p.ends}
	g.first = first.get(uint64(k))
	next := p.n
	if uint64(k+1) < first.n {
		next = first.get(uint64(k + 1))
	}
	from, to := uint64(0), at.get(uint64(k))
	if k > 0 {
		from = at.get(uint64(k - 1))
	}
	if g.first > next || next-g.first > pageTexts || from >= to || to > p.size {
		p.src.fail("page beyond its column")
	}
	data := p.src.bytes(p.data+from, to-from)
	switch data[0] {
	case pagePlain:
		g.raw = append(g.raw[:0], data[1:]...)
	case pageZstd:
		d := decoders.Get().(*zstd.Decoder)
		raw, err := d.DecodeAll(data[1:], g.raw[:0])
		decoders.Put(d)
		if err != nil {
			p.src.fail(fmt.Sprintf("decompressing page: %v", err))
		}
		g.raw = raw
	default:
		p.src.fail("page of unknown kind")
	}
	g.ends = g.ends[:0]
	text := g.raw
	sum := uint64(0)
	for range next - g.first {
		n, k := binary.Uvarint(text)
		if k <= 0 || n > uint64(len(g.raw)) || sum > uint64(len(g.raw)) {
			p.src.fail("length in page is not readable")
		}
		text = text[k:]
		sum += n
		g.ends = append(g.ends, uint32(sum))
	}
	if sum != uint64(len(text)) {
		p.src.fail("lengths in page do not add up")
	}
	g.text = text
}
