// Package wire serves gRPC methods whose few messages encode and decode
// themselves, so that spans go out as the bytes that package span makes of them
// and no generated code is needed.
//
// A request is decoded from any bytes or refused; it is at most 1 MiB. A call is
// bounded by [reply.QueryTime] and ends with its client.
package wire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	_ "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/throughline/throughline/backend/api/reply"
)

// Response is a message that is sent.
type Response interface {
	// AppendProto appends the message in protobuf.
	AppendProto(dst []byte) []byte
}

// Bytes is a Response that is encoded already.
type Bytes []byte

// AppendProto appends b.
func (b Bytes) AppendProto(dst []byte) []byte { return append(dst, b...) }

// Request is a message that is received.
type Request interface {
	// ReadField takes one field of the message; it leaves alone those that it
	// does not know.
	ReadField(f Field) error
}

// Field is a field of a message: of type varint, fixed or bytes.
type Field struct {
	Number protowire.Number
	N      uint64
	Bytes  []byte // valid during the call
}

// String is the field as text; what is not UTF-8 in it becomes U+FFFD.
func (f Field) String() string { return strings.ToValidUTF8(string(f.Bytes), "\uFFFD") }

var errMalformed = errors.New("malformed protobuf")

// Read calls read with every field of a message.
func Read(message []byte, read func(Field) error) error {
	for len(message) > 0 {
		number, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errMalformed
		}
		message = message[n:]
		f := Field{Number: number}
		switch typ {
		case protowire.VarintType:
			f.N, n = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			f.N, n = protowire.ConsumeFixed64(message)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(message)
			f.N = uint64(v)
		case protowire.BytesType:
			f.Bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, typ, message)
			f.Number = 0 // a group, which no message here has
		}
		if n < 0 {
			return errMalformed
		}
		message = message[n:]
		if err := read(f); err != nil {
			return err
		}
	}
	return nil
}

// AppendString appends a field of text, unless it is empty.
func AppendString(dst []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return AppendElement(dst, number, s)
}

// AppendElement appends an element of a repeated field, also an empty one.
func AppendElement(dst []byte, number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, number, protowire.BytesType), strings.ToValidUTF8(s, "\uFFFD"))
}

// AppendUint appends a field of a varint, unless it is 0.
func AppendUint(dst []byte, number protowire.Number, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), n)
}

// AppendFixed64 appends a field of 64 bits, unless they are 0.
func AppendFixed64(dst []byte, number protowire.Number, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendFixed64(protowire.AppendTag(dst, number, protowire.Fixed64Type), n)
}

// AppendMessage appends a field that is a message.
func AppendMessage(dst []byte, number protowire.Number, m Response) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), m.AppendProto(nil))
}

type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if r, ok := v.(Response); ok {
		return mem.BufferSlice{mem.SliceBuffer(r.AppendProto(nil))}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(Request)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	return Read(data.Materialize(), r.ReadField)
}

// NewServer makes a server of methods made by Method; options come after its own.
func NewServer(log *slog.Logger, options ...grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append([]grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2("proto")}),
		grpc.MaxRecvMsgSize(1 << 20),
		grpc.MaxConcurrentStreams(64),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
			defer func() {
				if p := recover(); p != nil {
					log.Error("panic in a gRPC method", "method", info.FullMethod, "panic", p, "stack", string(debug.Stack()))
					err = status.Error(codes.Internal, reply.Internal.Message)
				}
			}()
			if err := handler(srv, stream); err != nil {
				if _, ok := status.FromError(err); ok {
					return err
				}
				e := reply.From(stream.Context(), log, err)
				return status.Error(e.GRPC(), strings.ToValidUTF8(e.Message, "\uFFFD"))
			}
			return nil
		}),
	}, options...)...)
}

// Method makes a method of one request and any number of responses: on the wire
// a unary method is one that sends exactly one.
func Method[T any, R interface {
	*T
	Request
}](name string, answer func(ctx context.Context, request R, send func(Response) error) error) grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName: name, ServerStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			request := R(new(T))
			if err := stream.RecvMsg(request); err != nil {
				if errors.Is(err, io.EOF) {
					return status.Error(codes.InvalidArgument, "no request message")
				}
				return err
			}
			ctx, cancel := context.WithTimeout(stream.Context(), reply.QueryTime)
			defer cancel()
			return answer(ctx, request, func(m Response) error { return stream.SendMsg(m) })
		},
	}
}
