// Package tracefile reads the spans in files that tracing tools write: OTLP in
// JSON and in protobuf, and the JSON of Jaeger's UI and API, each plain or
// compressed with gzip or zstd.
//
// A file is read in pieces, so that memory is bounded by [Options.Piece] and not
// by the size of the file. What a file holds is seen from its first bytes, not
// from its name; what it holds is not trusted: it ends in an error that says how
// far it was read, or in spans, which still are to be judged by
// [span.Batch.Validate]. The package writes no files: package export and the
// Jaeger API do.
package tracefile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/throughline/throughline/backend/span"
)

// Format is what a file holds.
type Format string

// The formats.
const (
	OTLPJSON  Format = "otlp-json"  // one or more TracesData, also one a line
	OTLPProto Format = "otlp-proto" // one TracesData, or several after their lengths
	Jaeger    Format = "jaeger"     // as its UI downloads it and its API answers
)

// Options bound the reading; the zero value has defaults.
type Options struct {
	// Format of the file; empty finds it out.
	Format Format
	// Piece bounds what is decoded at once, a resource's spans or a trace of
	// Jaeger; 0 means 256 MiB.
	Piece int64
}

// ErrFormat is wrapped by the error of a file that is none of the formats.
var ErrFormat = errors.New("neither OTLP nor Jaeger JSON")

// ErrTooLarge is wrapped by the error of a file with too large a piece.
var ErrTooLarge = errors.New("piece is too large")

// maxWindow bounds the memory that a zstd frame may ask for.
const maxWindow = 128 << 20

// limits bound the decoding of one piece.
var limits = span.Limits{Depth: 100, Memory: 4 << 30}

// Read calls each with the spans of the file, piece by piece, in their order. The
// batches are each's to keep. It ends with the first error.
func Read(r io.Reader, o Options, each func(*span.Batch) error) error {
	if o.Piece <= 0 {
		o.Piece = 256 << 20
	}
	in := bufio.NewReaderSize(r, 64<<10)
	in, end, err := decompress(in)
	if err != nil {
		return err
	}
	defer end()
	format := o.Format
	if format == "" {
		if format, err = sniff(in); err != nil {
			return err
		}
	}
	switch format {
	case OTLPProto:
		return readProto(in, o.Piece, each)
	case OTLPJSON, Jaeger:
		return readJSON(in, o.Piece, each)
	}
	return fmt.Errorf("format %q: want %s, %s or %s", format, OTLPJSON, OTLPProto, Jaeger)
}

// decompress looks at the first bytes for what a compressed file begins with.
func decompress(in *bufio.Reader) (*bufio.Reader, func(), error) {
	head, _ := in.Peek(4)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, fmt.Errorf("reading gzip: %w", err)
		}
		return bufio.NewReaderSize(z, 64<<10), func() {}, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, fmt.Errorf("reading zstd: %w", err)
		}
		return bufio.NewReaderSize(z, 64<<10), z.Close, nil
	}
	return in, func() {}, nil
}

// sniff tells JSON by its first bytes, a brace and then a name, from protobuf,
// whose first is the tag of a resource's spans or the length of a message.
func sniff(in *bufio.Reader) (Format, error) {
	head, err := in.Peek(4096)
	if len(head) == 0 && err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading: %w", err)
	}
	text := bytes.TrimPrefix(head, []byte(byteOrderMark))
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) == 0 {
		return OTLPJSON, nil // nothing, or only blanks: no spans
	}
	if text[0] == '[' {
		return OTLPJSON, nil
	}
	if text[0] == '{' {
		inner := bytes.TrimLeft(text[1:], " \t\r\n")
		if len(inner) > 0 && inner[0] == '}' || len(inner) > 1 && inner[0] == '"' && (inner[1]|0x20) >= 'a' && (inner[1]|0x20) <= 'z' {
			return OTLPJSON, nil
		}
	}
	if head[0] == protoTag || framed(head) > 0 {
		return OTLPProto, nil
	}
	return "", ErrFormat
}
