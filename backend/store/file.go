package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync/atomic"
)

// A segment file is written once, front to back, and read by mapping it. Its
// bytes are checked in pages of pageSize, each before it is read for the first
// time, against a table of checksums that the footer's own checksum covers.

const (
	segmentMagic  = "TLSEG\x00\x00\x00"
	formatVersion = 1
	pageSize      = 16 << 10
	headerSize    = 16 // magic 8, version 4, unused 4
	trailerSize   = 48 // table 8, footer 8, size of the footer 8, checksum 4, version 4, unused 8, magic 8
)

// source is the bytes of a segment.
type source struct {
	name     string
	data     []byte // up to the table
	sums     []byte // the table
	verified []atomic.Uint32
}

// bytes returns n bytes at off, verified. It panics with a CorruptError, which
// guard turns into an error.
func (s *source) bytes(off, n uint64) []byte {
	end := off + n
	if end < off || end > uint64(len(s.data)) {
		s.fail("reference beyond the end")
	}
	if n == 0 {
		return nil
	}
	for p := off / pageSize; p <= (end-1)/pageSize; p++ {
		if s.verified[p/32].Load()>>(p%32)&1 == 0 {
			s.verify(p)
		}
	}
	return s.data[off:end:end]
}

func (s *source) verify(p uint64) {
	page := s.data[p*pageSize : min((p+1)*pageSize, uint64(len(s.data)))]
	if crc32.Checksum(page, castagnoli) != binary.LittleEndian.Uint32(s.sums[p*4:]) {
		s.fail(fmt.Sprintf("checksum of page %d does not match", p))
	}
	s.verified[p/32].Or(1 << (p % 32))
}

func (s *source) fail(what string) {
	panic(&CorruptError{File: s.name, Err: fmt.Errorf("%s", what)})
}

// openSource checks the frame of a segment file and returns its footer.
func openSource(name string, file []byte) (s *source, footer []byte, err error) {
	corrupt := func(format string, args ...any) (*source, []byte, error) {
		return nil, nil, &CorruptError{File: name, Err: fmt.Errorf(format, args...)}
	}
	if len(file) < headerSize+trailerSize {
		return corrupt("%d bytes are too few", len(file))
	}
	if string(file[:8]) != segmentMagic {
		return corrupt("no segment header")
	}
	t := file[len(file)-trailerSize:]
	if string(t[40:]) != segmentMagic {
		return corrupt("no segment trailer")
	}
	// Both have the version, so that a damaged one is not taken for a new format.
	if v := binary.LittleEndian.Uint32(file[8:]); v != binary.LittleEndian.Uint32(t[28:]) || v == 0 {
		return corrupt("header and trailer have different versions")
	} else if v > formatVersion {
		return nil, nil, &VersionError{File: name, Is: v, Known: formatVersion}
	}
	table, foot, size := binary.LittleEndian.Uint64(t), binary.LittleEndian.Uint64(t[8:]), binary.LittleEndian.Uint64(t[16:])
	rest := uint64(len(file) - trailerSize)
	pages := (table + pageSize - 1) / pageSize
	if table < headerSize || table > rest || foot != table+4*pages || foot > rest || size != rest-foot {
		return corrupt("trailer does not fit the file")
	}
	sum := crc32.Checksum(file[table:rest], castagnoli)
	sum = crc32.Update(sum, castagnoli, t[:24])
	if sum != binary.LittleEndian.Uint32(t[24:]) {
		return corrupt("checksum of the footer does not match")
	}
	s = &source{name: name, data: file[:table], sums: file[table:foot], verified: make([]atomic.Uint32, (pages+31)/32)}
	return s, file[foot:rest], nil
}

// fileWriter writes a segment file.
type fileWriter struct {
	f    File
	buf  []byte // less than pageSize, unless a write is larger
	off  uint64
	sums []byte
	err  error
}

func newFileWriter(f File) *fileWriter {
	w := &fileWriter{f: f, buf: make([]byte, 0, 4*pageSize)}
	header := binary.LittleEndian.AppendUint32([]byte(segmentMagic), formatVersion)
	w.write(append(header, 0, 0, 0, 0))
	return w
}

// write appends b and returns where it is.
func (w *fileWriter) write(b []byte) uint64 {
	at := w.off
	w.off += uint64(len(b))
	for len(b) > 0 {
		n := min(len(b), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, b[:n]...)
		b = b[n:]
		if len(w.buf) == cap(w.buf) {
			w.flush()
		}
	}
	return at
}

// flush writes the buffer, which is whole pages but at the end.
func (w *fileWriter) flush() {
	for p := w.buf; len(p) > 0; p = p[min(pageSize, len(p)):] {
		w.sums = binary.LittleEndian.AppendUint32(w.sums, crc32.Checksum(p[:min(pageSize, len(p))], castagnoli))
	}
	w.put(w.buf)
	w.buf = w.buf[:0]
}

func (w *fileWriter) put(b []byte) {
	if w.err == nil {
		_, w.err = w.f.Write(b)
	}
}

// packed writes packed integers.
func (w *fileWriter) packed(p *packer) packedRef {
	p.flush()
	r := packedRef{size: uint64(len(p.data)), n: p.total, min: p.min, max: p.max}
	r.data = w.write(p.data)
	w.write(make([]byte, packedTail))
	r.dir = w.write(p.dir)
	return r
}

// finish writes the table, the footer and the trailer, and syncs the file.
func (w *fileWriter) finish(footer []byte) error {
	w.flush()
	table := w.off
	tail := append(w.sums, footer...)
	t := binary.LittleEndian.AppendUint64(nil, table)
	t = binary.LittleEndian.AppendUint64(t, table+uint64(len(w.sums)))
	t = binary.LittleEndian.AppendUint64(t, uint64(len(footer)))
	sum := crc32.Update(crc32.Checksum(tail, castagnoli), castagnoli, t)
	t = binary.LittleEndian.AppendUint32(t, sum)
	t = binary.LittleEndian.AppendUint32(t, formatVersion)
	t = append(append(t, make([]byte, 8)...), segmentMagic...)
	w.put(append(tail, t...))
	if w.err == nil {
		w.err = w.f.Sync()
	}
	return w.err
}
