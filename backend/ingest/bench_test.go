package ingest_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/throughline/throughline/backend/ingest"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// BenchmarkExport sends batches of 512 spans by each way; ns/span is the figure.
// The client is in the same process and its part is in it.
func BenchmarkExport(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	db := store.New(store.Options{MaxBytes: 64 << 20, Log: log})
	defer db.Close()
	r := ingest.New(ingest.Config{Store: db, Log: log})
	var addresses []string
	for _, serve := range []func(net.Listener) error{r.ServeGRPC, r.ServeHTTP} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		go serve(l)
	}
	defer r.Shutdown(b.Context())

	const spans = 512
	resource := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String("bench")}}}
	scope := &span.Scope{Name: "bench"}
	trace := uint64(0)
	// Every batch has ids of its own: a resent span would be a duplicate.
	batch := func() []span.Span {
		out := make([]span.Span, spans)
		for i := range out {
			if i%12 == 0 {
				trace++
			}
			s := span.Span{
				Name: "GET /things/{id}", Kind: span.KindServer, Flags: 1,
				StartTime: 1_790_000_000_000_000_000 + trace*1000, EndTime: 1_790_000_000_001_000_000 + trace*1000,
				Attributes: []span.Attribute{
					{Key: "http.request.method", Value: span.String("GET")},
					{Key: "http.response.status_code", Value: span.Int(200)},
					{Key: "http.route", Value: span.String("/things/{id}")},
					{Key: "url.path", Value: span.String("/things/0123456789abcdef")},
				},
				Resource: resource, Scope: scope,
			}
			binary.BigEndian.PutUint64(s.TraceID[:], trace)
			binary.BigEndian.PutUint64(s.SpanID[:], uint64(i+1))
			out[i] = s
		}
		return out
	}
	conn, err := grpc.NewClient(addresses[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	post := func(contentType string, body []byte) error {
		resp, err := http.Post("http://"+addresses[1]+"/v1/traces", contentType, bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	run := func(name string, encode func([]span.Span) []byte, send func([]byte) error) {
		b.Run(name, func(b *testing.B) {
			bodies := make([][]byte, b.N)
			for i := range bodies {
				bodies[i] = encode(batch())
			}
			b.ReportAllocs()
			b.ResetTimer()
			for _, body := range bodies {
				if err := send(body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*spans), "ns/span")
		})
	}
	run("gRPC", span.EncodeProto, func(body []byte) error {
		var out []byte
		return conn.Invoke(b.Context(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", body, &out, grpc.ForceCodec(rawCodec{}))
	})
	run("HTTP protobuf", span.EncodeProto, func(body []byte) error { return post(protobufType, body) })
	run("HTTP JSON", func(s []span.Span) []byte {
		var text bytes.Buffer
		if err := span.WriteJSON(&text, s); err != nil {
			b.Fatal(err)
		}
		return text.Bytes()
	}, func(body []byte) error { return post(jsonType, body) })
}
