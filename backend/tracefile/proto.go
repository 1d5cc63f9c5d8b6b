package tracefile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/throughline/throughline/backend/span"
)

// protoTag begins a TracesData: its field 1, the resources' spans.
const protoTag = 1<<3 | 2

// framed returns how many bytes of length stand before each message: 4 as the
// Collector's file exporter writes them, big-endian; 0 when there are none.
func framed(head []byte) int {
	if len(head) >= 5 && head[0] < 0x10 && head[4] == protoTag && binary.BigEndian.Uint32(head) > 2 {
		return 4
	}
	return 0
}

func readProto(in *bufio.Reader, most int64, each func(*span.Batch) error) error {
	head, _ := in.Peek(5)
	if framed(head) == 0 || head[0] == protoTag && plausible(in) {
		return readMessage(in, most, each)
	}
	for {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the length of a message: %w", err)
		}
		message := &io.LimitedReader{R: in, N: int64(binary.BigEndian.Uint32(size[:]))}
		if err := readMessage(bufio.NewReader(message), most, each); err != nil {
			return err
		}
		if message.N > 0 {
			return fmt.Errorf("reading a message: %d bytes are missing: %w", message.N, io.ErrUnexpectedEOF)
		}
	}
}

// plausible says whether a plain TracesData begins here: its first field's first
// field is a resource, a scope's spans or a schema.
func plausible(in *bufio.Reader) bool {
	head, _ := in.Peek(16)
	_, n := protowire.ConsumeVarint(head[1:])
	return n > 0 && len(head) > 1+n && bytes.IndexByte([]byte{1<<3 | 2, 2<<3 | 2, 3<<3 | 2}, head[1+n]) >= 0
}

// readMessage reads the fields of a TracesData one by one.
func readMessage(in *bufio.Reader, most int64, each func(*span.Batch) error) error {
	for i := 0; ; i++ {
		tag, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading resource spans %d: %w", i, err)
		}
		if tag != protoTag {
			return fmt.Errorf("reading resource spans %d: field %d is not one of OTLP's TracesData: %w", i, tag>>3, ErrFormat)
		}
		size, err := binary.ReadUvarint(in)
		if err != nil {
			return fmt.Errorf("reading resource spans %d: %w", i, noEnd(err))
		}
		if size > uint64(most) {
			return fmt.Errorf("reading resource spans %d: %w: %d bytes, more than %d", i, ErrTooLarge, size, most)
		}
		request := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.BytesType), size)
		body := bytes.NewBuffer(request)
		if n, err := io.CopyN(body, in, int64(size)); err != nil {
			return fmt.Errorf("reading resource spans %d: %d of %d bytes: %w", i, n, size, noEnd(err))
		}
		batch, err := span.DecodeProto(body.String(), limits)
		if err != nil {
			return fmt.Errorf("reading resource spans %d: %w", i, err)
		}
		if err := each(batch); err != nil {
			return err
		}
	}
}

func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
