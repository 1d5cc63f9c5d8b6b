package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"unsafe"
)

// walRead is what was found in a log.
type walRead struct {
	Records int
	Skipped int64 // bytes between readable records
	Torn    int64 // bytes after the last readable record that are not zeros
}

var errNoLog = errors.New("neither a log header nor records")

// maxTornHeader is more than a crash can leave of a log that has no header yet.
const maxTornHeader = 4096

// readWAL calls f with every record of a log. A record that does not match its
// checksum is skipped, and those behind it are looked for by their magic number:
// a request is whole or not there. The strings are parts of data.
func readWAL(name string, data []byte, f func(received uint64, request string) error) (walRead, error) {
	var r walRead
	// A header that does not match is one that a crash left unfinished, before
	// there were records, or a damaged one, whose records are looked for.
	at, good := 0, 0
	if len(data) >= walHeader && string(data[:8]) == walMagic &&
		crc32.Checksum(data[:walHeader-4], castagnoli) == binary.LittleEndian.Uint32(data[walHeader-4:]) {
		if v := binary.LittleEndian.Uint32(data[8:]); v > formatVersion {
			return r, &VersionError{File: name, Is: v, Known: formatVersion}
		}
		at, good = walHeader, walHeader
	}
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], recordMagic)
	// Content that imitates records makes the search try many checksums.
	budget := 4*len(data) + 1<<20
	for {
		request, received, ok := record(data[at:], &budget)
		if !ok {
			next := bytes.Index(data[min(at+1, len(data)):], magic[:])
			if next < 0 || budget < 0 {
				break
			}
			at += 1 + next
			continue
		}
		r.Skipped += int64(at - good)
		r.Records++
		at += recordHeader + len(request)
		good = at
		if err := f(received, unsafe.String(unsafe.SliceData(request), len(request))); err != nil {
			return r, fmt.Errorf("log %q, record %d: %w", name, r.Records, err)
		}
	}
	r.Torn = int64(len(bytes.TrimRight(data[good:], "\x00")))
	if good == 0 && r.Torn > maxTornHeader {
		return r, &CorruptError{File: name, Err: errNoLog}
	}
	return r, nil
}

// record reads the record that data begins with.
func record(data []byte, budget *int) (request []byte, received uint64, ok bool) {
	if len(data) < recordHeader || binary.LittleEndian.Uint32(data) != recordMagic ||
		binary.LittleEndian.Uint32(data[12:]) != recordRequest {
		return nil, 0, false
	}
	n := uint64(binary.LittleEndian.Uint32(data[4:]))
	if n > uint64(len(data)-recordHeader) {
		return nil, 0, false
	}
	request = data[recordHeader:][:n]
	if *budget -= len(request); *budget < 0 || recordSum(data, request) != binary.LittleEndian.Uint32(data[8:]) {
		return nil, 0, false
	}
	return request, binary.LittleEndian.Uint64(data[16:]), true
}

// unsafeString is the bytes as a string, for as long as they do not change.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// unsafeBytes is the string's bytes, to be read only.
func unsafeBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
