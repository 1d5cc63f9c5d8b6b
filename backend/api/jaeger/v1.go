package jaeger

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/span"
)

// answer is the envelope of every answer of version 1.
type answer struct {
	Data   any        `json:"data"`
	Total  int        `json:"total"`
	Limit  int        `json:"limit"`
	Offset int        `json:"offset"`
	Errors []apiError `json:"errors"`
}

type apiError struct {
	Code    int    `json:"code,omitempty"`
	Msg     string `json:"msg"`
	TraceID string `json:"traceID,omitempty"`
}

// v1 writes errors in the envelope.
func (h *Handler) v1(check func(http.ResponseWriter, *http.Request, reply.Func) error, f reply.Func) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := check(w, r, f); err != nil {
			e := reply.From(r.Context(), h.Log, err)
			reply.Fault(w, e, answer{Errors: []apiError{{Code: e.Status, Msg: e.Message}}})
		}
	})
}

func write(w http.ResponseWriter, r *http.Request, value any) error {
	if pretty(r) {
		return reply.Indented(w, value)
	}
	return reply.JSON(w, value)
}

func pretty(r *http.Request) bool {
	v := r.URL.Query().Get("prettyPrint")
	return v != "" && v != "false"
}

func (h *Handler) services(w http.ResponseWriter, r *http.Request) error {
	names, err := h.serviceNames(r.Context())
	if err != nil {
		return err
	}
	return write(w, r, answer{Data: names, Total: len(names)})
}

func (h *Handler) serviceOperations(w http.ResponseWriter, r *http.Request) error {
	list, err := h.operationsOf(r.Context(), r.PathValue("service"), "")
	if err != nil {
		return err
	}
	names := []string{}
	for _, op := range list {
		names = append(names, op.Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return write(w, r, answer{Data: names, Total: len(names)})
}

func (h *Handler) operations(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if q.Get("service") == "" {
		return reply.Invalid("parameter 'service' is required")
	}
	list, err := h.operationsOf(r.Context(), q.Get("service"), q.Get("spanKind"))
	if err != nil {
		return err
	}
	return write(w, r, answer{Data: list, Total: len(list)})
}

func (h *Handler) dependencies(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	end, err := milliseconds(q, "endTs", time.Duration(h.Now().UnixNano()))
	if err != nil {
		return err
	}
	lookback, err := milliseconds(q, "lookback", 24*time.Hour)
	if err != nil {
		return err
	}
	to := time.Unix(0, int64(end))
	edges, err := h.edges(r.Context(), to.Add(-lookback), to, q.Get("service"))
	if err != nil {
		return err
	}
	type link struct {
		Parent    string `json:"parent"`
		Child     string `json:"child"`
		CallCount int    `json:"callCount"`
	}
	list := make([]link, len(edges))
	for i, e := range edges {
		list[i] = link(e)
	}
	return write(w, r, answer{Data: list})
}

func (h *Handler) trace(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	id, err := parseTraceID(r.PathValue("traceID"))
	if err != nil {
		return reply.Invalid("%v", err)
	}
	// The range is a hint where to look, in microseconds by Jaeger and in
	// milliseconds by Grafana; here a trace is found without it, and whole.
	for _, name := range []string{"start", "end"} {
		if _, err := moment(q, name); err != nil {
			return err
		}
	}
	raw, err := boolean(q, "raw")
	if err != nil {
		return err
	}
	return h.send(w, r, raw, nil, func(emit func(*span.Trace) error) error {
		return h.each(r.Context(), []span.TraceID{id}, emit, nil)
	})
}

func (h *Handler) traces(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in, err := searchOf(q)
	if err != nil {
		return err
	}
	raw, err := boolean(q, "raw")
	if err != nil {
		return err
	}
	var ids []span.TraceID
	for _, v := range q["traceID"] {
		id, err := span.ParseTraceID(v)
		if err != nil {
			return reply.Invalid("cannot parse traceID param: %v", err)
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	missing := []apiError{}
	var note func(span.TraceID) // one that was found and is gone was evicted meanwhile
	if len(ids) > 0 {
		note = func(id span.TraceID) {
			missing = append(missing, apiError{Msg: "trace not found", TraceID: traceID(id)})
		}
	} else {
		if q.Get("service") == "" {
			return reply.Invalid("parameter 'service' is required")
		}
		found, err := h.find(r.Context(), in)
		if err != nil {
			return err
		}
		ids = idsOf(found)
	}
	return h.send(w, r, raw, &missing, func(emit func(*span.Trace) error) error {
		return h.each(r.Context(), ids, emit, note)
	})
}

// maxTransform bounds a body of /api/transform, the JSON of some 100,000 spans.
const maxTransform = 64 << 20

// transform answers with the traces of a body of OTLP JSON, which are not stored.
func (h *Handler) transform(w http.ResponseWriter, r *http.Request) error {
	if !h.transforming.TryLock() { // each takes several times its body in memory
		return &reply.Error{Code: "unavailable", Status: http.StatusServiceUnavailable, Message: "another body is being transformed, try again"}
	}
	defer h.transforming.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTransform))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &reply.Error{
			Code: "invalid_argument", Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("body of more than %d bytes", maxTransform),
		}
	}
	if err != nil {
		return reply.Invalid("reading the body: %v", err)
	}
	batch, err := span.DecodeJSON(body, span.Limits{})
	if err != nil {
		return reply.Invalid("%v", err)
	}
	batch.Validate(h.Now())
	var order []span.TraceID
	byID := map[span.TraceID]*span.Trace{}
	for i := range batch.Spans {
		s := &batch.Spans[i]
		t := byID[s.TraceID]
		if t == nil {
			t = &span.Trace{ID: s.TraceID}
			byID[s.TraceID] = t
			order = append(order, s.TraceID)
		}
		t.Spans = append(t.Spans, *s)
	}
	var faults []apiError
	if batch.Rejected.Count > 0 {
		faults = append(faults, apiError{Msg: batch.Rejected.String()})
	}
	return h.send(w, r, false, &faults, func(emit func(*span.Trace) error) error {
		for _, id := range order {
			slices.SortFunc(byID[id].Spans, func(a, b span.Span) int {
				return cmp.Or(cmp.Compare(a.StartTime, b.StartTime), bytes.Compare(a.SpanID[:], b.SpanID[:]))
			})
			if err := emit(byID[id]); err != nil {
				return err
			}
		}
		return nil
	})
}

// maxIndented bounds an answer that is held in memory to be indented.
const maxIndented = 64 << 20

// send writes the traces that each emits, one after the other, so that no more
// than one is in memory; when indented, all are. Where faults is nil, no trace at
// all is an error.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, raw bool, faults *[]apiError, each func(emit func(*span.Trace) error) error) error {
	var indented bytes.Buffer
	b := bufio.NewWriterSize(w, 64<<10)
	if pretty(r) {
		b = bufio.NewWriter(&indented)
	}
	b.WriteString(`{"data":[`)
	n := 0
	err := each(func(t *span.Trace) error {
		if n == 0 {
			w.Header().Set("Content-Type", "application/json")
		} else {
			b.WriteByte(',')
		}
		n++
		if writeTrace(b, t, raw); indented.Len() > maxIndented {
			return &reply.Error{
				Code: "too_large", Status: http.StatusUnprocessableEntity,
				Message: fmt.Sprintf("answer of more than %d MiB: ask for fewer traces, or without prettyPrint", maxIndented>>20),
			}
		}
		return nil
	})
	if err != nil {
		if n == 0 || pretty(r) {
			return err // nothing was sent: it is all in the buffer
		}
		reply.From(r.Context(), h.Log, err)
		panic(http.ErrAbortHandler) // the client sees that the answer is cut off
	}
	if n == 0 && faults == nil {
		return reply.NotFound("trace not found")
	}
	w.Header().Set("Content-Type", "application/json")
	tail := struct {
		Total  int        `json:"total"`
		Limit  int        `json:"limit"`
		Offset int        `json:"offset"`
		Errors []apiError `json:"errors"`
	}{}
	if faults != nil && len(*faults) > 0 {
		tail.Errors = *faults
	}
	end, err := json.Marshal(tail)
	if err != nil {
		return err
	}
	b.WriteString("],")
	b.Write(end[1:])
	b.WriteByte('\n')
	b.Flush() // an error here is the client's leaving
	if pretty(r) {
		var out bytes.Buffer
		if err := json.Indent(&out, indented.Bytes(), "", "    "); err != nil {
			return err
		}
		w.Write(out.Bytes())
	}
	return nil
}
