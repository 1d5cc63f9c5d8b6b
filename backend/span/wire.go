package span

import (
	"errors"
	"fmt"
)

// The protobuf wire format, read in place from a string, so that the strings of
// a decoded span are parts of the request and cost no copy.
// https://protobuf.dev/programming-guides/encoding/

type wireType uint8

const (
	wireVarint  wireType = 0
	wireFixed64 wireType = 1
	wireBytes   wireType = 2
	wireGroup   wireType = 3
	wireEnd     wireType = 4
	wireFixed32 wireType = 5
)

// field is one field of a message: its number, and the value in n or in s as
// its wire type says.
type field struct {
	number int
	typ    wireType
	n      uint64
	s      string
}

var (
	errTruncated = errors.New("truncated protobuf")
	errVarint    = errors.New("protobuf varint is longer than 64 bits")
	errField     = errors.New("protobuf field number is out of range")
	errGroup     = errors.New("protobuf groups are unbalanced or nested too deep")
)

// maxGroups bounds the nesting of unknown groups, the only recursion of the
// wire format itself.
const maxGroups = 32

// nextField reads the first field of s and returns what is behind it. Groups,
// which OTLP never had, are skipped and returned as a field without a value.
func nextField(s string) (f field, rest string, err error) {
	tag, s, err := varint(s)
	if err != nil {
		return field{}, "", err
	}
	if tag>>3 == 0 || tag>>3 > 1<<29-1 {
		return field{}, "", errField
	}
	f.number, f.typ = int(tag>>3), wireType(tag&7)
	switch f.typ {
	case wireBytes:
		n, s, err := varint(s)
		if err != nil {
			return field{}, "", err
		}
		if n > uint64(len(s)) {
			return field{}, "", errTruncated
		}
		f.s = s[:n]
		return f, s[n:], nil
	case wireVarint:
		f.n, s, err = varint(s)
		return f, s, err
	case wireFixed64:
		if len(s) < 8 {
			return field{}, "", errTruncated
		}
		f.n = uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		return f, s[8:], nil
	case wireFixed32:
		if len(s) < 4 {
			return field{}, "", errTruncated
		}
		f.n = uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
		return f, s[4:], nil
	case wireGroup:
		s, err = skipGroup(s, f.number, maxGroups)
		return f, s, err
	case wireEnd:
		return field{}, "", errGroup
	}
	return field{}, "", fmt.Errorf("protobuf wire type %d is unknown", f.typ)
}

// skipGroup returns what is behind the end of a group.
func skipGroup(s string, number, depth int) (string, error) {
	if depth == 0 {
		return "", errGroup
	}
	for {
		tag, rest, err := varint(s)
		if err != nil {
			return "", err
		}
		switch wireType(tag & 7) {
		case wireEnd:
			if int(tag>>3) != number {
				return "", errGroup
			}
			return rest, nil
		case wireGroup:
			if s, err = skipGroup(rest, int(tag>>3), depth-1); err != nil {
				return "", err
			}
		default:
			if _, s, err = nextField(s); err != nil {
				return "", err
			}
		}
	}
}

func varint(s string) (uint64, string, error) {
	if len(s) > 0 && s[0] < 0x80 { // most of them
		return uint64(s[0]), s[1:], nil
	}
	return longVarint(s)
}

func longVarint(s string) (uint64, string, error) {
	var n uint64
	for i := 0; i < len(s); i++ {
		b := s[i]
		if i == 9 && b > 1 {
			return 0, "", errVarint
		}
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return n, s[i+1:], nil
		}
	}
	return 0, "", errTruncated
}

func appendVarint(dst []byte, n uint64) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

func appendTag(dst []byte, number int, typ wireType) []byte {
	return appendVarint(dst, uint64(number)<<3|uint64(typ))
}

func appendFixed64(dst []byte, number int, n uint64) []byte {
	if n == 0 {
		return dst
	}
	dst = appendTag(dst, number, wireFixed64)
	return append(dst, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32), byte(n>>40), byte(n>>48), byte(n>>56))
}

func appendFixed32(dst []byte, number int, n uint32) []byte {
	if n == 0 {
		return dst
	}
	dst = appendTag(dst, number, wireFixed32)
	return append(dst, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
}

func appendUint(dst []byte, number int, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return appendVarint(appendTag(dst, number, wireVarint), n)
}

func appendText(dst []byte, number int, s string) []byte {
	if s == "" {
		return dst
	}
	dst = appendVarint(appendTag(dst, number, wireBytes), uint64(len(s)))
	return append(dst, s...)
}

// openMessage begins a field that is a message; closeMessage, given what
// openMessage returned as mark, ends it. The length takes one byte until it is
// known not to fit, because nearly all messages inside a span are short.
func openMessage(dst []byte, number int) (out []byte, mark int) {
	dst = append(appendTag(dst, number, wireBytes), 0)
	return dst, len(dst)
}

func closeMessage(dst []byte, mark int) []byte {
	n := len(dst) - mark
	if n < 0x80 {
		dst[mark-1] = byte(n)
		return dst
	}
	var length [10]byte
	l := appendVarint(length[:0], uint64(n))
	dst = append(dst, l[1:]...) // room
	copy(dst[mark+len(l)-1:], dst[mark:mark+n])
	copy(dst[mark-1:], l)
	return dst
}
