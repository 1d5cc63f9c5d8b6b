package api

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/span"
)

type statusJSON struct {
	Version    string     `json:"version"`
	UptimeNano string     `json:"uptimeNano"`
	Receivers  []Receiver `json:"receivers"`
	Store      storeJSON  `json:"store"`
	Ingest     ingestJSON `json:"ingest"`
}

type storeJSON struct {
	Traces         int    `json:"traces"`
	Spans          int    `json:"spans"`
	Bytes          int64  `json:"bytes"`
	MaxBytes       int64  `json:"maxBytes"`
	DuplicateSpans uint64 `json:"duplicateSpans"`
	EvictedTraces  uint64 `json:"evictedTraces"`
	EvictedSpans   uint64 `json:"evictedSpans"`
	EvictedBytes   uint64 `json:"evictedBytes"`
	LastEvicted    string `json:"lastEvictedUnixNano,omitempty"`
	OldestReceived string `json:"oldestReceivedUnixNano,omitempty"`
	Retention      string `json:"retentionNano"`
	OnDisk         bool   `json:"onDisk"`
	Segments       int    `json:"segments"`
	CorruptFiles   uint64 `json:"corruptFiles"`
	Writable       bool   `json:"writable"`
	Unwritable     string `json:"unwritableReason,omitempty"`
}

type ingestJSON struct {
	AcceptedSpans    uint64         `json:"acceptedSpans"`
	RejectedSpans    uint64         `json:"rejectedSpans"`
	RejectedRequests uint64         `json:"rejectedRequests"`
	LastAccepted     string         `json:"lastAcceptedUnixNano,omitempty"`
	LastRejected     *rejectionJSON `json:"lastRejected,omitempty"`
}

type rejectionJSON struct {
	Time     string `json:"timeUnixNano"`
	Protocol string `json:"protocol"`
	Reason   string `json:"reason"`
}

func (s *server) status(w http.ResponseWriter, r *http.Request) error {
	if err := only(r.URL.Query()); err != nil {
		return err
	}
	return reply.JSON(w, s.statusNow())
}

func (s *server) statusNow() statusJSON {
	st := s.Store.Stats()
	out := statusJSON{
		Version:    s.Version,
		UptimeNano: strconv.FormatInt(int64(s.Now().Sub(s.Started)), 10),
		Receivers:  append([]Receiver{}, s.Receivers...),
		Store: storeJSON{
			Traces: st.Traces, Spans: st.Spans, Bytes: st.Bytes, MaxBytes: st.MaxBytes,
			DuplicateSpans: st.DuplicateSpans,
			EvictedTraces:  st.Evicted.Traces, EvictedSpans: st.Evicted.Spans, EvictedBytes: st.Evicted.Bytes, LastEvicted: unixNano(st.Evicted.Last),
			OldestReceived: unixNano(st.OldestReceived), Retention: strconv.FormatInt(int64(s.Retention), 10),
			OnDisk: !st.Memory, Segments: st.Segments, CorruptFiles: st.CorruptFiles, Writable: st.Unwritable == nil,
		},
	}
	if st.Unwritable != nil {
		out.Store.Unwritable = st.Unwritable.Error()
	}
	if s.Ingest != nil {
		in := s.Ingest()
		out.Ingest = ingestJSON{
			AcceptedSpans: in.AcceptedSpans, RejectedSpans: in.RejectedSpans, RejectedRequests: in.RejectedRequests,
			LastAccepted: unixNano(in.LastAccepted),
		}
		if e := in.LastRejected; !e.Time.IsZero() {
			out.Ingest.LastRejected = &rejectionJSON{unixNano(e.Time), e.Protocol, e.Reason}
		}
	}
	return out
}

type serviceJSON struct {
	Name       string `json:"name"`
	SpanCount  int    `json:"spanCount"`
	ErrorCount int    `json:"errorCount"`
	LastSeen   string `json:"lastSeenUnixNano"`
}

func (s *server) services(w http.ResponseWriter, r *http.Request) error {
	if err := only(r.URL.Query()); err != nil {
		return err
	}
	list := []serviceJSON{}
	for _, svc := range s.Store.Services() {
		list = append(list, serviceJSON{svc.Name, svc.SpanCount, svc.ErrorCount, unixNano(svc.LastReceived)})
	}
	return writeTagged(w, r, map[string]any{"services": list})
}

type operationJSON struct {
	Service    string `json:"service"`
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	SpanCount  int    `json:"spanCount"`
	ErrorCount int    `json:"errorCount"`
}

func (s *server) operations(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := only(q, "service"); err != nil {
		return err
	}
	var service *string
	if q.Has("service") {
		service = new(q.Get("service"))
	}
	list := []operationJSON{}
	for _, op := range s.Store.Operations(service) {
		list = append(list, operationJSON{op.Service, op.Name, op.Kind.String(), op.SpanCount, op.ErrorCount})
	}
	return writeTagged(w, r, map[string]any{"operations": list})
}

type summaryJSON struct {
	TraceID      string             `json:"traceId"`
	RootService  string             `json:"rootService"`
	RootName     string             `json:"rootName"`
	RootKind     string             `json:"rootKind"`
	RootStatus   string             `json:"rootStatus"`
	StartTime    string             `json:"startTimeUnixNano"`
	Duration     string             `json:"durationNano"`
	SpanCount    int                `json:"spanCount"`
	ErrorCount   int                `json:"errorCount"`
	OrphanCount  int                `json:"orphanCount"`
	HasRoot      bool               `json:"hasRoot"`
	Services     []serviceCountJSON `json:"services"`
	LastReceived string             `json:"lastReceivedUnixNano"`
}

type serviceCountJSON struct {
	Name       string `json:"name"`
	SpanCount  int    `json:"spanCount"`
	ErrorCount int    `json:"errorCount"`
}

func summaryOf(s *span.Summary) summaryJSON {
	out := summaryJSON{
		TraceID:     s.TraceID.String(),
		RootService: s.RootService, RootName: s.RootName, RootKind: s.RootKind.String(), RootStatus: s.RootStatus.String(),
		StartTime: strconv.FormatUint(s.StartTime, 10), Duration: strconv.FormatInt(int64(s.Duration()), 10),
		SpanCount: s.SpanCount, ErrorCount: s.ErrorCount, OrphanCount: s.OrphanCount, HasRoot: s.HasRoot,
		Services:     make([]serviceCountJSON, len(s.Services)),
		LastReceived: unixNano(s.LastReceived),
	}
	for i, c := range s.Services {
		out.Services[i] = serviceCountJSON(c)
	}
	return out
}

func (s *server) traces(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := filterOf(q, "start", "end", "limit", "cursor")
	if err != nil {
		return err
	}
	if f.Start, err = moment("start", q.Get("start")); err != nil {
		return err
	}
	if f.End, err = moment("end", q.Get("end")); err != nil {
		return err
	}
	if f.End != 0 && f.Start > f.End {
		return reply.Invalid("start is after end")
	}
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	f.Limit = limit
	var from cursor
	if v := q.Get("cursor"); v != "" {
		if from, err = parseCursor(v); err != nil {
			return err
		}
		from.narrow(f)
	}
	found, err := s.Store.Search(r.Context(), f)
	if err != nil {
		return err
	}
	if from.ties > 0 {
		from.rest(&found, limit)
	}
	answer := tracesJSON{Traces: make([]summaryJSON, len(found.Traces)), Truncated: found.Truncated}
	for i := range found.Traces {
		answer.Traces[i] = summaryOf(&found.Traces[i])
	}
	if found.Truncated {
		answer.NextCursor = from.next(found.Traces, limit).String()
	}
	return writeTagged(w, r, answer)
}

type tracesJSON struct {
	Traces     []summaryJSON `json:"traces"`
	Truncated  bool          `json:"truncated"`
	NextCursor string        `json:"nextCursor,omitempty"`
}

func (s *server) trace(w http.ResponseWriter, r *http.Request) error {
	if err := only(r.URL.Query()); err != nil {
		return err
	}
	id, err := span.ParseTraceID(r.PathValue("traceId"))
	if err != nil {
		return reply.Invalid("%v", err)
	}
	trace, summary, err := s.Store.Trace(r.Context(), id)
	if err != nil {
		return err
	}
	// What is held of a trace changes only when more of it is received.
	if has(w, r, strconv.FormatInt(summary.LastReceived.UnixNano(), 36)+"-"+strconv.Itoa(summary.SpanCount)) {
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	head, err := appendJSON([]byte(`{"trace":`), summaryOf(&summary))
	if err != nil {
		return err
	}
	if _, err := w.Write(append(head, `,"resourceSpans":`...)); err != nil {
		return nil // the client left
	}
	if err := span.WriteResourceSpans(w, slices.Values([][]span.Span{trace.Spans})); err != nil {
		return nil
	}
	io.WriteString(w, "}\n")
	return nil
}

func (s *server) unknown(_ http.ResponseWriter, r *http.Request) error {
	return reply.NotFound("%.100s: no such path", r.URL.Path)
}

// unixNano is a time in decimal, empty for none.
func unixNano(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixNano(), 10)
}
