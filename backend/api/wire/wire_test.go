package wire_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/api/wire"
)

type request struct{ text string }

func (r *request) ReadField(f wire.Field) error {
	if f.Number == 1 {
		r.text = f.String()
	}
	return nil
}

// A method answers with any number of messages or an error; a panic is one too.
func TestMethod(t *testing.T) {
	s := wire.NewServer(slog.New(slog.NewTextHandler(t.Output(), nil)))
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Echo", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{wire.Method("Say", func(ctx context.Context, r *request, send func(wire.Response) error) error {
			switch r.text {
			case "panic":
				panic("in a test")
			case "invalid":
				return reply.Invalid("that is \xff invalid")
			case "secret":
				return errors.New("a secret path")
			}
			if _, ok := ctx.Deadline(); !ok {
				t.Error("no time limit")
			}
			return send(wire.Bytes(wire.AppendElement(nil, 1, r.text)))
		})},
	}, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	defer s.Stop()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, c := range []struct {
		text, want string
		code       codes.Code
	}{
		{"hello", "", codes.OK},
		{"", "", codes.OK},
		{"invalid", "that is \uFFFD invalid", codes.InvalidArgument},
		{"panic", "internal error", codes.Internal},
		{"secret", "internal error", codes.Internal},
		{strings.Repeat("x", 2<<20), "larger than max", codes.ResourceExhausted},
	} {
		var out wrapperspb.StringValue
		err := conn.Invoke(t.Context(), "/test.Echo/Say", wrapperspb.String(c.text), &out)
		if status.Code(err) != c.code || !strings.Contains(status.Convert(err).Message(), c.want) || err == nil && out.Value != c.text {
			t.Errorf("%.20q: %q, %v", c.text, out.Value, err)
		}
	}
}

func TestRead(t *testing.T) {
	message := wire.AppendString(nil, 1, "a")
	message = wire.AppendUint(message, 2, 300)
	message = wire.AppendFixed64(message, 3, 1<<63)
	message = wire.AppendMessage(message, 4, wire.Bytes(nil))
	var got []wire.Field
	if err := wire.Read(message, func(f wire.Field) error { got = append(got, f); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 || got[0].String() != "a" || got[1].N != 300 || got[2].N != 1<<63 || got[3].Number != 4 || len(got[3].Bytes) != 0 {
		t.Errorf("%+v", got)
	}
	for n := 1; n < len(message); n++ {
		_ = wire.Read(message[:n], func(wire.Field) error { return nil })
	}
	for _, bad := range []string{"\x0a", "\x0a\x05abc", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x09123", "\x00\x01", "\x0b\x0a\x01a", "\x0f"} {
		if err := wire.Read([]byte(bad), func(wire.Field) error { return nil }); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
