package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/throughline/throughline/backend/span"
)

// call asks by Jaeger's query service over gRPC what a path of version 3 asks over
// HTTP.
func call(ctx context.Context, address, path string) (*answer, error) {
	u, err := url.Parse(path)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(u.Path, "/api/v3/")
	q := u.Query()
	var method string
	var in []byte
	read := messages
	switch id, isTrace := strings.CutPrefix(name, "traces/"); {
	case isTrace:
		method, in, read = "GetTrace", text(nil, 1, id), traces
	case name == "traces":
		method, in, read = "FindTraces", message(nil, 1, query(q)), traces
	case name == "trace-summaries":
		method, in = "FindTraceSummaries", message(nil, 1, query(q))
	case name == "services":
		method = "GetServices"
	case name == "operations":
		method, in = "GetOperations", text(text(nil, 1, q.Get("service")), 2, q.Get("spanKind"))
	case name == "dependencies":
		method, in = "GetDependencies", moment(moment(nil, 1, q.Get("startTime")), 2, q.Get("endTime"))
	default:
		return nil, fmt.Errorf("%s: no such method of gRPC", path)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	out, err := receive(ctx, conn, "/jaeger.api_v3.QueryService/"+method, in)
	if err != nil {
		return &answer{status: http.StatusInternalServerError, body: err.Error()}, nil
	}
	body, err := read(out)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", method, address, err)
	}
	return newAnswer(http.StatusOK, body)
}

func receive(ctx context.Context, conn *grpc.ClientConn, method string, in []byte) ([][]byte, error) {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(in); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	var out [][]byte
	for {
		var one []byte
		if err := stream.RecvMsg(&one); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
}

// rawCodec leaves messages as bytes.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data)
	return nil
}

func message(dst []byte, number protowire.Number, in []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), in)
}

func text(dst []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return message(dst, number, []byte(s))
}

func varint(dst []byte, number protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), n)
}

// pair is a Timestamp or a Duration.
func pair(dst []byte, number protowire.Number, nanos int64) []byte {
	return message(dst, number, varint(varint(nil, 1, uint64(nanos/1e9)), 2, uint64(nanos%1e9)))
}

func moment(dst []byte, number protowire.Number, s string) []byte {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return dst
	}
	return pair(dst, number, t.UnixNano())
}

// query is the TraceQueryParameters of the parameters of version 3.
func query(q url.Values) []byte {
	out := text(text(nil, 1, q.Get("query.serviceName")), 2, q.Get("query.operationName"))
	var tags map[string]string
	if json.Unmarshal([]byte(q.Get("query.attributes")), &tags) == nil {
		for k, v := range tags {
			out = message(out, 3, text(text(nil, 1, k), 2, v))
		}
	}
	out = moment(moment(out, 4, q.Get("query.startTimeMin")), 5, q.Get("query.startTimeMax"))
	for i, name := range []string{"query.durationMin", "query.durationMax"} {
		if d, err := time.ParseDuration(q.Get(name)); err == nil {
			out = pair(out, protowire.Number(6+i), int64(d))
		}
	}
	return varint(out, 8, 1000)
}

// traces are the spans of a stream of TracesData, in OTLP JSON.
func traces(stream [][]byte) ([]byte, error) {
	var spans []span.Span
	for _, one := range stream {
		batch, err := span.DecodeProto(string(one), span.Limits{})
		if err != nil {
			return nil, err
		}
		spans = append(spans, batch.Spans...)
	}
	var out bytes.Buffer
	err := span.WriteJSON(&out, spans)
	return out.Bytes(), err
}

// messages writes any messages as JSON whose keys are the numbers of fields and
// whose values are text; those that hold messages are written likewise.
func messages(stream [][]byte) ([]byte, error) {
	var all []any
	for _, one := range stream {
		fields, ok := parse(one)
		if !ok {
			return nil, fmt.Errorf("malformed answer %q", one)
		}
		for _, elements := range fields {
			all = append(all, elements...)
		}
	}
	return json.Marshal(map[string]any{"elements": all})
}

func parse(in []byte) (map[string][]any, bool) {
	out := map[string][]any{}
	for len(in) > 0 {
		number, typ, n := protowire.ConsumeTag(in)
		if n < 0 {
			return nil, false
		}
		in = in[n:]
		var v any
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(in)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(in)
		case protowire.BytesType:
			var b []byte
			b, n = protowire.ConsumeBytes(in)
			v = string(b)
			if inner, ok := parse(b); ok && len(b) > 0 {
				v = inner
			}
		default:
			return nil, false
		}
		if n < 0 {
			return nil, false
		}
		in = in[n:]
		out[fmt.Sprint(number)] = append(out[fmt.Sprint(number)], v)
	}
	return out, true
}
