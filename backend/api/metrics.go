package api

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// metrics answers in the text format of Prometheus.
// https://prometheus.io/docs/instrumenting/exposition_formats/
func (s *server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	var b strings.Builder
	write := func(name, typ, help string, value any) {
		fmt.Fprintf(&b, "# HELP throughline_%s %s\n# TYPE throughline_%s %s\nthroughline_%s %v\n", name, help, name, typ, name, value)
	}
	gauge := func(name, help string, value any) { write(name, "gauge", help, value) }
	counter := func(name, help string, value any) { write(name+"_total", "counter", help, value) }

	st := s.Store.Stats()
	gauge("store_spans", "Spans held.", st.Spans)
	gauge("store_traces", "Traces held, one for each segment that has spans of it.", st.Traces)
	gauge("store_bytes", "Bytes on disk, or in memory when nothing is on disk.", st.Bytes)
	gauge("store_max_bytes", "Bound on store_bytes, 0 is none.", st.MaxBytes)
	gauge("store_segments", "Segments.", st.Segments)
	gauge("store_segment_bytes", "Bytes of segments.", st.SegmentBytes)
	gauge("store_wal_files", "Files of the write-ahead log.", st.WALFiles)
	gauge("store_wal_bytes", "Bytes of the write-ahead log.", st.WALBytes)
	gauge("store_head_spans", "Spans in memory that are in no segment yet.", st.HeadSpans)
	gauge("store_head_bytes", "Memory of those spans.", st.HeadBytes)
	gauge("store_sealing_heads", "Heads that wait to become segments.", st.Sealing)
	writable := 1
	if st.Unwritable != nil {
		writable = 0
	}
	gauge("store_writable", "1 while spans can be stored, 0 while they are refused.", writable)
	counter("store_appends", "Requests appended.", st.Appends)
	counter("store_refused", "Requests refused because they could not be made durable.", st.Refused)
	counter("store_syncs", "Syncs of the write-ahead log.", st.Syncs)
	counter("store_sealed_segments", "Segments made of heads.", st.Sealed)
	counter("store_seal_seconds", "Time spent on making segments.", st.SealTime.Seconds())
	counter("store_compacted_segments", "Segments merged into others.", st.Compacted)
	counter("store_compact_seconds", "Time spent on merging segments.", st.CompactTime.Seconds())
	counter("store_duplicate_spans", "Spans received under the id of one that was held in memory.", st.DuplicateSpans)
	counter("store_evicted_spans", "Spans dropped by retention.", st.Evicted.Spans)
	counter("store_evicted_bytes", "Bytes dropped by retention.", st.Evicted.Bytes)
	counter("store_corrupt_files", "Files found damaged and set aside.", st.CorruptFiles)
	counter("store_recovered_requests", "Requests replayed from the write-ahead log at the start.", st.RecoveredRequests)
	if s.Ingest != nil {
		in := s.Ingest()
		counter("ingest_accepted_spans", "Spans accepted.", in.AcceptedSpans)
		counter("ingest_rejected_spans", "Spans rejected by partial success.", in.RejectedSpans)
		counter("ingest_rejected_requests", "Requests refused.", in.RejectedRequests)
	}
	io.WriteString(w, b.String())
}
