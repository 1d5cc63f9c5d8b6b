package tempo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// trace answers with a message Trace, whose only field has the number of that of
// OTLP's TracesData.
func (h *Handler) trace(w http.ResponseWriter, r *http.Request) error {
	trace, err := h.traceOf(r)
	if err != nil {
		return err
	}
	if wantsProtobuf(r) {
		writeProtobuf(w, span.EncodeProto(trace.Spans))
		return nil
	}
	return writeJSON(w, `{"batches":[`, trace, "]}\n")
}

// traceV2 answers with a message TraceByIDResponse: the trace and, left out
// because it is 0, the status COMPLETE.
func (h *Handler) traceV2(w http.ResponseWriter, r *http.Request) error {
	trace, err := h.traceOf(r)
	if err != nil {
		return err
	}
	if wantsProtobuf(r) {
		// Clients take the field for granted, and its metrics.
		out := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), span.EncodeProto(trace.Spans))
		writeProtobuf(w, protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), nil))
		return nil
	}
	return writeJSON(w, `{"trace":{"resourceSpans":[`, trace, `]},"metrics":{}}`+"\n")
}

// traceOf finds the trace. The range is a hint where to look; here a trace is
// found without it, and whole.
func (h *Handler) traceOf(r *http.Request) (*span.Trace, error) {
	id, err := span.ParseTraceID(r.PathValue("traceID"))
	if err != nil {
		return nil, reply.Invalid("%v", err)
	}
	if _, _, err := timeRange(r.URL.Query()); err != nil {
		return nil, err
	}
	trace, _, err := h.Store.Trace(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, reply.NotFound("trace not found")
	}
	return trace, err
}

// chunkSpans bounds the spans that are in memory in all of their forms.
const chunkSpans = 1000

// writeJSON writes the ResourceSpans of a trace between two texts, in JSON as
// protobuf's rules have it, with ids in base64 and enumerations by name: what
// clients of Tempo read, and not OTLP JSON.
func writeJSON(w http.ResponseWriter, before string, t *span.Trace, after string) error {
	w.Header().Set("Content-Type", "application/json")
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(before)
	first := true
	var compact bytes.Buffer // protojson varies its white space
	for spans := range slices.Chunk(t.Spans, chunkSpans) {
		var data tracepb.TracesData
		if err := proto.Unmarshal(span.EncodeProto(spans), &data); err != nil {
			return fmt.Errorf("decoding a trace: %w", err)
		}
		for _, rs := range data.ResourceSpans {
			out, err := protojson.Marshal(rs)
			if err != nil {
				return fmt.Errorf("encoding a trace: %w", err)
			}
			compact.Reset()
			if err := json.Compact(&compact, out); err != nil {
				return fmt.Errorf("encoding a trace: %w", err)
			}
			if !first {
				b.WriteByte(',')
			}
			first = false
			b.Write(compact.Bytes())
		}
	}
	b.WriteString(after)
	b.Flush() // an error is the client's leaving
	return nil
}

func wantsProtobuf(r *http.Request) bool {
	for _, accept := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(accept, ",") {
			if t, _, err := mime.ParseMediaType(one); err == nil && t == "application/protobuf" {
				return true
			}
		}
	}
	return false
}

func writeProtobuf(w http.ResponseWriter, message []byte) {
	w.Header().Set("Content-Type", "application/protobuf")
	w.Write(message)
}
