package tempo

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
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
	encoded, err := h.traceOf(r)
	if err != nil {
		return err
	}
	if wantsProtobuf(r) {
		writeProtobuf(w, encoded)
		return nil
	}
	spans, err := resourceSpans(encoded)
	if err != nil {
		return err
	}
	return reply.JSON(w, map[string]json.RawMessage{"batches": spans})
}

// traceV2 answers with a message TraceByIDResponse: the trace and, left out
// because it is 0, the status COMPLETE.
func (h *Handler) traceV2(w http.ResponseWriter, r *http.Request) error {
	encoded, err := h.traceOf(r)
	if err != nil {
		return err
	}
	if wantsProtobuf(r) {
		// Clients take the field for granted, and its metrics.
		out := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), encoded)
		writeProtobuf(w, protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), nil))
		return nil
	}
	spans, err := resourceSpans(encoded)
	if err != nil {
		return err
	}
	return reply.JSON(w, map[string]any{"trace": map[string]json.RawMessage{"resourceSpans": spans}, "metrics": struct{}{}})
}

// traceOf returns the trace in protobuf. The range is a hint where to look; here
// a trace is found without it, and whole.
func (h *Handler) traceOf(r *http.Request) ([]byte, error) {
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
	if err != nil {
		return nil, err
	}
	return span.EncodeProto(trace.Spans), nil
}

// resourceSpans is JSON as protobuf's rules have it, with ids in base64 and
// enumerations by name: what clients of Tempo read, and not OTLP JSON.
func resourceSpans(encoded []byte) (json.RawMessage, error) {
	var data tracepb.TracesData
	if err := proto.Unmarshal(encoded, &data); err != nil {
		return nil, fmt.Errorf("decoding a trace: %w", err)
	}
	out, err := protojson.Marshal(&data)
	if err != nil {
		return nil, fmt.Errorf("encoding a trace: %w", err)
	}
	var fields struct{ ResourceSpans json.RawMessage }
	if err := json.Unmarshal(out, &fields); err != nil {
		return nil, fmt.Errorf("encoding a trace: %w", err)
	}
	return fields.ResourceSpans, nil
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
