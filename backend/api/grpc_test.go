package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// rpc calls methods with messages of a .proto file of testdata, by a decoder that
// is not ours.
type rpc struct {
	file protoreflect.FileDescriptor
	conn *grpc.ClientConn
}

func dial(t *testing.T, file, address string) *rpc {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(
		&protocompile.SourceResolver{ImportPaths: []string{"testdata/proto"}})}
	files, err := compiler.Compile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &rpc{files[0], conn}
}

func (c *rpc) message(t *testing.T, name string) *dynamicpb.Message {
	t.Helper()
	d := c.file.Messages().ByName(protoreflect.Name(name))
	if d == nil {
		t.Fatalf("no message %s", name)
	}
	return dynamicpb.NewMessage(d)
}

// call sends a request, given as JSON, and returns the bytes of the answers.
func (c *rpc) call(t *testing.T, method, request, text string) ([][]byte, error) {
	t.Helper()
	in := c.message(t, request)
	if err := protojson.Unmarshal([]byte(text), in); err != nil {
		t.Fatal(err)
	}
	stream, err := c.conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, method, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(in); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var answers [][]byte
	for {
		var answer []byte
		err := stream.RecvMsg(&answer)
		if errors.Is(err, io.EOF) {
			return answers, nil
		}
		if err != nil {
			return answers, err
		}
		answers = append(answers, answer)
	}
}

// rawCodec leaves answers as the bytes that came.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return proto.Marshal(v.(proto.Message)) }
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

// json is call for answers of one kind, as indented JSON, one after the other.
func (c *rpc) json(t *testing.T, method, request, text, answer string) (string, error) {
	t.Helper()
	answers, err := c.call(t, method, request, text)
	var out strings.Builder
	for _, a := range answers {
		m := c.message(t, answer)
		if err := proto.Unmarshal(a, m); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if len(m.GetUnknown()) > 0 {
			t.Errorf("%s: unknown fields in %x", method, a)
		}
		text, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer // protojson varies its white space
		if err := json.Compact(&compact, text); err != nil {
			t.Fatal(err)
		}
		out.WriteString(indent(t, compact.String()))
	}
	return out.String(), err
}
