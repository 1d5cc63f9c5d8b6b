package server

import (
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/throughline/throughline/backend/ingest"
	"github.com/throughline/throughline/backend/store"
)

// metrics are the figures of a server for Prometheus: those of the store and the
// receivers are read when they are asked for, times are gathered as they pass.
type metrics struct {
	registry *prometheus.Registry

	exports *prometheus.HistogramVec
	appends prometheus.Histogram
	queries *prometheus.HistogramVec
}

// buckets are from what one fsync of a good disk takes to what a client waits.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMetrics(config Config) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		exports: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "throughline_ingest_request_duration_seconds", Buckets: buckets,
			Help: "Time from when an export request was read to its answer.",
		}, []string{"protocol"}),
		appends: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "throughline_store_append_duration_seconds", Buckets: buckets,
			Help: "Time that the store took of an export request, decoding and sync included.",
		}),
		queries: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "throughline_api_request_duration_seconds", Buckets: buckets,
			Help: "Time that answers of the UI's port took, streams and exports left out.",
		}, []string{"path"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "throughline_build_info", Help: "1, labelled with the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": config.Version, "go_version": goVersion()},
	})
	build.Set(1)
	m.registry.MustRegister(m.exports, m.appends, m.queries, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func goVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.GoVersion
	}
	return "unknown"
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

func (m *metrics) observeExport(protocol string, whole, stored time.Duration) {
	m.exports.WithLabelValues(protocol).Observe(whole.Seconds())
	m.appends.Observe(stored.Seconds())
}

func (m *metrics) observeQuery(pattern string, took time.Duration) {
	if pattern == "" {
		pattern = "none"
	}
	m.queries.WithLabelValues(pattern).Observe(took.Seconds())
}

// figures is a collector of what the store and the receivers say of themselves.
type figures struct {
	store     *store.DB
	ingest    *ingest.Receiver
	retention time.Duration
}

// Describe sends nothing: what Collect sends is checked when it is gathered.
func (f *figures) Describe(chan<- *prometheus.Desc) {}

func (f *figures) Collect(out chan<- prometheus.Metric) {
	send := func(typ prometheus.ValueType, name, help string, value float64) {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("throughline_"+name, help, nil, nil), typ, value)
	}
	gauge := func(name, help string, value float64) { send(prometheus.GaugeValue, name, help, value) }
	counter := func(name, help string, value float64) { send(prometheus.CounterValue, name+"_total", help, value) }

	st := f.store.Stats()
	gauge("store_spans", "Spans held, each counted once.", float64(st.Spans))
	gauge("store_traces", "Traces held, each counted once.", float64(st.Traces))
	gauge("store_bytes", "Bytes on disk, or in memory when nothing is on disk.", float64(st.Bytes))
	gauge("store_max_bytes", "Bound on store_bytes, 0 is none.", float64(st.MaxBytes))
	gauge("store_retention_seconds", "How long spans are kept, 0 is as long as there is room.", f.retention.Seconds())
	gauge("store_segments", "Segments.", float64(st.Segments))
	gauge("store_segment_bytes", "Bytes of segments.", float64(st.SegmentBytes))
	gauge("store_wal_files", "Files of the write-ahead log.", float64(st.WALFiles))
	gauge("store_wal_bytes", "Bytes of the write-ahead log.", float64(st.WALBytes))
	gauge("store_head_spans", "Spans in memory that are in no segment yet.", float64(st.HeadSpans))
	gauge("store_head_bytes", "Memory of those spans.", float64(st.HeadBytes))
	gauge("store_sealing_heads", "Heads that wait to become segments.", float64(st.Sealing))
	gauge("store_writable", "1 while spans can be stored, 0 while they are refused.", boolean(st.Unwritable == nil))
	gauge("store_oldest_received_timestamp_seconds", "When the oldest span that is held was received, 0 when none is.", seconds(st.OldestReceived))
	gauge("store_last_evicted_timestamp_seconds", "When retention last dropped spans, 0 when it never did.", seconds(st.Evicted.Last))
	counter("store_appends", "Requests appended.", float64(st.Appends))
	counter("store_refused", "Requests refused because they could not be made durable.", float64(st.Refused))
	counter("store_syncs", "Syncs of the write-ahead log.", float64(st.Syncs))
	counter("store_sealed_segments", "Segments made of heads.", float64(st.Sealed))
	counter("store_seal_seconds", "Time spent on making segments.", st.SealTime.Seconds())
	counter("store_compacted_segments", "Segments merged into others.", float64(st.Compacted))
	counter("store_compact_seconds", "Time spent on merging segments.", st.CompactTime.Seconds())
	counter("store_duplicate_spans", "Spans received under the id of one that was held.", float64(st.DuplicateSpans))
	counter("store_evicted_traces", "Traces dropped by retention, each counted once, with the first segment that had spans of it.", float64(st.Evicted.Traces))
	counter("store_evicted_spans", "Spans dropped by retention.", float64(st.Evicted.Spans))
	counter("store_evicted_bytes", "Bytes dropped by retention.", float64(st.Evicted.Bytes))
	counter("store_corrupt_files", "Files found damaged and set aside.", float64(st.CorruptFiles))
	counter("store_recovered_requests", "Requests replayed from the write-ahead log at the start.", float64(st.RecoveredRequests))

	in := f.ingest.Stats()
	counter("ingest_accepted_spans", "Spans accepted.", float64(in.AcceptedSpans))
	counter("ingest_rejected_spans", "Spans rejected by partial success.", float64(in.RejectedSpans))
	counter("ingest_rejected_requests", "Requests refused.", float64(in.RejectedRequests))
	counter("ingest_denied_requests", "Requests refused for want of a token.", float64(in.DeniedRequests))
	gauge("ingest_in_flight_bytes", "Memory that the requests in work may take now.", float64(in.InFlightBytes))
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / float64(time.Second)
}
