package tempo

import (
	"encoding/json"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/throughline/throughline/backend/api/wire"
	"github.com/throughline/throughline/backend/span"
)

// The messages of the API, in JSON and protobuf. Their fields are those of
// https://github.com/grafana/tempo/blob/main/pkg/tempopb/tempo.proto, which is
// under the Apache License.

type searchResponse struct {
	Traces  []traceMetadata `json:"traces"`
	Metrics searchMetrics   `json:"metrics"`
}

type traceMetadata struct {
	TraceID      string                  `json:"traceID"`
	RootService  string                  `json:"rootServiceName"`
	RootName     string                  `json:"rootTraceName"`
	Start        uint64                  `json:"startTimeUnixNano,string"`
	DurationMs   uint32                  `json:"durationMs"`
	SpanSet      *spanSet                `json:"spanSet,omitempty"` // the first of SpanSets, for old clients
	SpanSets     []spanSet               `json:"spanSets,omitempty"`
	ServiceStats map[string]serviceStats `json:"serviceStats,omitempty"`
}

type serviceStats struct {
	SpanCount  uint32 `json:"spanCount"`
	ErrorCount uint32 `json:"errorCount"`
}

type spanSet struct {
	Spans      []spanMatch      `json:"spans"`
	Matched    uint32           `json:"matched"`
	Attributes []span.Attribute `json:"attributes,omitempty"`
}

type spanMatch struct {
	SpanID     string           `json:"spanID"`
	Name       string           `json:"name,omitempty"`
	Start      uint64           `json:"startTimeUnixNano,string"`
	Duration   uint64           `json:"durationNanos,string"`
	Attributes []span.Attribute `json:"attributes,omitempty"`
}

// searchMetrics says what an answer took. The work is one job.
type searchMetrics struct {
	InspectedTraces uint32 `json:"inspectedTraces,omitempty"`
	InspectedBytes  uint64 `json:"inspectedBytes,string,omitempty"`
	TotalBlocks     uint32 `json:"totalBlocks,omitempty"`
	CompletedJobs   uint32 `json:"completedJobs"`
	TotalJobs       uint32 `json:"totalJobs"`
	InspectedSpans  uint64 `json:"inspectedSpans,string,omitempty"`
}

type tagNames struct {
	TagNames []string        `json:"tagNames"`
	Metrics  metadataMetrics `json:"metrics"`
}

type tagScopes struct {
	Scopes  []tagScope      `json:"scopes"`
	Metrics metadataMetrics `json:"metrics"`
}

type tagScope struct {
	Name string   `json:"name"`
	Tags []string `json:"tags"`
}

type tagStrings struct {
	TagValues []string        `json:"tagValues"`
	Metrics   metadataMetrics `json:"metrics"`
}

type tagTyped struct {
	TagValues []tagValue      `json:"tagValues"`
	Metrics   metadataMetrics `json:"metrics"`
}

type tagValue struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

type metadataMetrics struct {
	InspectedBytes uint64 `json:"inspectedBytes,string"`
	TotalJobs      uint32 `json:"totalJobs"`
	CompletedJobs  uint32 `json:"completedJobs"`
}

type rangeResponse struct {
	Series  []timeSeries  `json:"series"`
	Metrics searchMetrics `json:"metrics"`
	Status  string        `json:"status,omitempty"` // PARTIAL or, empty, COMPLETE
	Message string        `json:"message,omitempty"`
}

type timeSeries struct {
	Labels    []span.Attribute `json:"labels"`
	Samples   []sample         `json:"samples"`
	Exemplars []exemplar       `json:"exemplars,omitempty"`
}

type sample struct {
	TimestampMs int64  `json:"timestampMs,string"`
	Value       double `json:"value"`
}

type exemplar struct {
	Labels      []span.Attribute `json:"labels"`
	Value       double           `json:"value"`
	TimestampMs int64            `json:"timestampMs,string"`
}

type instantResponse struct {
	Series  []instantSeries `json:"series"`
	Metrics searchMetrics   `json:"metrics"`
	Status  string          `json:"status,omitempty"`
	Message string          `json:"message,omitempty"`
}

type instantSeries struct {
	Labels []span.Attribute `json:"labels"`
	Value  double           `json:"value"`
}

// double is a number that may be none that JSON has.
type double float64

func (d double) MarshalJSON() ([]byte, error) {
	switch f := float64(d); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`), nil
	default:
		return json.Marshal(f)
	}
}

func (d double) appendProto(dst []byte, number protowire.Number) []byte {
	return wire.AppendFixed64(dst, number, math.Float64bits(float64(d)))
}

func appendAttributes(dst []byte, number protowire.Number, list []span.Attribute) []byte {
	for _, a := range list {
		dst = wire.AppendMessage(dst, number, a)
	}
	return dst
}

func (r *searchResponse) AppendProto(dst []byte) []byte {
	for i := range r.Traces {
		dst = wire.AppendMessage(dst, 1, &r.Traces[i])
	}
	return wire.AppendMessage(dst, 2, r.Metrics)
}

func (t *traceMetadata) AppendProto(dst []byte) []byte {
	dst = wire.AppendString(dst, 1, t.TraceID)
	dst = wire.AppendString(dst, 2, t.RootService)
	dst = wire.AppendString(dst, 3, t.RootName)
	dst = wire.AppendUint(dst, 4, t.Start)
	dst = wire.AppendUint(dst, 5, uint64(t.DurationMs))
	if t.SpanSet != nil {
		dst = wire.AppendMessage(dst, 6, t.SpanSet)
	}
	for i := range t.SpanSets {
		dst = wire.AppendMessage(dst, 7, &t.SpanSets[i])
	}
	for _, name := range slices.Sorted(maps.Keys(t.ServiceStats)) {
		entry := wire.AppendString(nil, 1, name)
		dst = wire.AppendMessage(dst, 8, wire.Bytes(wire.AppendMessage(entry, 2, t.ServiceStats[name])))
	}
	return dst
}

func (s serviceStats) AppendProto(dst []byte) []byte {
	return wire.AppendUint(wire.AppendUint(dst, 1, uint64(s.SpanCount)), 2, uint64(s.ErrorCount))
}

func (s *spanSet) AppendProto(dst []byte) []byte {
	for i := range s.Spans {
		dst = wire.AppendMessage(dst, 1, &s.Spans[i])
	}
	dst = wire.AppendUint(dst, 2, uint64(s.Matched))
	return appendAttributes(dst, 3, s.Attributes)
}

func (s *spanMatch) AppendProto(dst []byte) []byte {
	dst = wire.AppendString(dst, 1, s.SpanID)
	dst = wire.AppendString(dst, 2, s.Name)
	dst = wire.AppendUint(dst, 3, s.Start)
	dst = wire.AppendUint(dst, 4, s.Duration)
	return appendAttributes(dst, 5, s.Attributes)
}

func (m searchMetrics) AppendProto(dst []byte) []byte {
	dst = wire.AppendUint(dst, 1, uint64(m.InspectedTraces))
	dst = wire.AppendUint(dst, 2, m.InspectedBytes)
	dst = wire.AppendUint(dst, 3, uint64(m.TotalBlocks))
	dst = wire.AppendUint(dst, 4, uint64(m.CompletedJobs))
	dst = wire.AppendUint(dst, 5, uint64(m.TotalJobs))
	return wire.AppendUint(dst, 7, m.InspectedSpans)
}

func (m metadataMetrics) AppendProto(dst []byte) []byte {
	dst = wire.AppendUint(dst, 1, m.InspectedBytes)
	return wire.AppendUint(wire.AppendUint(dst, 2, uint64(m.TotalJobs)), 3, uint64(m.CompletedJobs))
}

func (r *tagNames) AppendProto(dst []byte) []byte {
	for _, name := range r.TagNames {
		dst = wire.AppendElement(dst, 1, name)
	}
	return wire.AppendMessage(dst, 2, r.Metrics)
}

func (r *tagScopes) AppendProto(dst []byte) []byte {
	for _, s := range r.Scopes {
		scope := wire.AppendString(nil, 1, s.Name)
		for _, name := range s.Tags {
			scope = wire.AppendElement(scope, 2, name)
		}
		dst = wire.AppendMessage(dst, 1, wire.Bytes(scope))
	}
	return wire.AppendMessage(dst, 2, r.Metrics)
}

func (r *tagStrings) AppendProto(dst []byte) []byte {
	for _, value := range r.TagValues {
		dst = wire.AppendElement(dst, 1, value)
	}
	return wire.AppendMessage(dst, 2, r.Metrics)
}

func (r *tagTyped) AppendProto(dst []byte) []byte {
	for _, v := range r.TagValues {
		dst = wire.AppendMessage(dst, 1, wire.Bytes(wire.AppendString(wire.AppendString(nil, 1, v.Type), 2, v.Value)))
	}
	return wire.AppendMessage(dst, 2, r.Metrics)
}

func appendStatus(dst []byte, status, message string) []byte {
	if status != "" {
		dst = wire.AppendUint(dst, 3, 1)
	}
	return wire.AppendString(dst, 4, message)
}

func (r *rangeResponse) AppendProto(dst []byte) []byte {
	for i := range r.Series {
		dst = wire.AppendMessage(dst, 1, &r.Series[i])
	}
	return appendStatus(wire.AppendMessage(dst, 2, r.Metrics), r.Status, r.Message)
}

func (s *timeSeries) AppendProto(dst []byte) []byte {
	dst = appendAttributes(dst, 1, s.Labels)
	for _, one := range s.Samples {
		dst = wire.AppendMessage(dst, 2, wire.Bytes(wire.AppendUint(one.Value.appendProto(nil, 1), 2, uint64(one.TimestampMs))))
	}
	for _, e := range s.Exemplars {
		one := e.Value.appendProto(appendAttributes(nil, 1, e.Labels), 2)
		dst = wire.AppendMessage(dst, 4, wire.Bytes(wire.AppendUint(one, 3, uint64(e.TimestampMs))))
	}
	return dst
}

func (r *instantResponse) AppendProto(dst []byte) []byte {
	for _, s := range r.Series {
		dst = wire.AppendMessage(dst, 1, wire.Bytes(s.Value.appendProto(appendAttributes(nil, 1, s.Labels), 2)))
	}
	return appendStatus(wire.AppendMessage(dst, 2, r.Metrics), r.Status, r.Message)
}
