package span

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// TraceID identifies a trace. The zero value is not a valid id.
type TraceID [16]byte

// SpanID identifies a span in its trace. The zero value is not a valid id.
type SpanID [8]byte

// String gives 32 lower-case hexadecimal digits.
func (id TraceID) String() string { return hex.EncodeToString(id[:]) }

// String gives 16 lower-case hexadecimal digits.
func (id SpanID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether the id is the invalid one of zeros.
func (id TraceID) IsZero() bool { return id == TraceID{} }

// IsZero reports whether the id is the invalid one of zeros.
func (id SpanID) IsZero() bool { return id == SpanID{} }

// ParseTraceID reads the id that a person or an API client gives: 1 to 32
// hexadecimal digits in either case, padded with zeros on the left.
func ParseTraceID(s string) (TraceID, error) {
	var id TraceID
	if err := parseHex(id[:], s); err != nil {
		return TraceID{}, fmt.Errorf("trace id %q: %w", clip(s), err)
	}
	if id.IsZero() {
		return TraceID{}, fmt.Errorf("trace id %q: all zeros", clip(s))
	}
	return id, nil
}

func parseHex(dst []byte, s string) error {
	if s == "" {
		return errors.New("empty")
	}
	if len(s) > 2*len(dst) {
		return fmt.Errorf("%d characters, want at most %d hexadecimal digits", len(s), 2*len(dst))
	}
	for i := range len(s) {
		var d byte
		switch c := s[len(s)-1-i]; {
		case '0' <= c && c <= '9':
			d = c - '0'
		case 'a' <= c && c <= 'f':
			d = c - 'a' + 10
		case 'A' <= c && c <= 'F':
			d = c - 'A' + 10
		default:
			return fmt.Errorf("%q is not a hexadecimal digit", c)
		}
		dst[len(dst)-1-i/2] |= d << (4 * (i % 2))
	}
	return nil
}

// clip shortens text of unknown origin for a message.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
