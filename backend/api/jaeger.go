package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// The read API of Jaeger version 1, as its own UI up to 2.18 and Grafana's Jaeger
// data source use it. Parameters that are not known are ignored, as Jaeger does.

func (s *server) jaegerRoutes(mux *http.ServeMux) {
	get := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, s.jaegerHandle(h))
	}
	get("/api/services", s.jaegerServices)
	get("/api/services/{service}/operations", s.jaegerServiceOperations)
	get("/api/operations", s.jaegerOperations)
	get("/api/traces", s.jaegerTraces)
	get("/api/traces/{traceID}", s.jaegerTrace)
	get("/api/dependencies", s.jaegerDependencies)
	get("/api/metrics/{name}", func(http.ResponseWriter, *http.Request) error {
		return &apiError{"unavailable", http.StatusNotImplemented, "metrics querying is currently disabled"}
	})
	get("/api/", func(_ http.ResponseWriter, r *http.Request) error {
		return notFound("%.100s: no such path", r.URL.Path)
	})
}

// jaegerAnswer is the envelope of every answer.
type jaegerAnswer struct {
	Data   any           `json:"data"`
	Total  int           `json:"total"`
	Limit  int           `json:"limit"`
	Offset int           `json:"offset"`
	Errors []jaegerError `json:"errors"`
}

type jaegerError struct {
	Code    int    `json:"code,omitempty"`
	Msg     string `json:"msg"`
	TraceID string `json:"traceID,omitempty"`
}

// jaegerHandle is handle with errors in Jaeger's envelope.
func (s *server) jaegerHandle(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := answer(w, r, h)
		if err == nil {
			return
		}
		e := s.toAPIError(r, err)
		body, err := json.Marshal(jaegerAnswer{Errors: []jaegerError{{Code: e.status, Msg: e.message}}})
		if err != nil {
			s.Log.Error("encoding an error", "error", err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(e.status)
		w.Write(append(body, '\n'))
	})
}

func jaegerWrite(w http.ResponseWriter, r *http.Request, a jaegerAnswer) error {
	if !pretty(r) {
		return writeJSON(w, a)
	}
	body, err := json.MarshalIndent(a, "", "    ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n'))
	return nil
}

func pretty(r *http.Request) bool {
	v := r.URL.Query().Get("prettyPrint")
	return v != "" && v != "false"
}

func (s *server) jaegerServices(w http.ResponseWriter, r *http.Request) error {
	names := []string{}
	for _, svc := range s.Store.Services() {
		if svc.Name != "" {
			names = append(names, svc.Name)
			continue
		}
		for _, name := range []string{missingService, emptyService} {
			found, err := s.search(r, namelessFilter(name))
			if err != nil {
				return err
			}
			if len(found.Traces) > 0 {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return jaegerWrite(w, r, jaegerAnswer{Data: names, Total: len(names)})
}

func (s *server) jaegerServiceOperations(w http.ResponseWriter, r *http.Request) error {
	service := storedService(r.PathValue("service"))
	names := []string{}
	for _, op := range s.Store.Operations(&service) {
		names = append(names, jaegerSpanName(op.Name))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return jaegerWrite(w, r, jaegerAnswer{Data: names, Total: len(names)})
}

func (s *server) jaegerOperations(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if q.Get("service") == "" {
		return invalid("parameter 'service' is required")
	}
	service := storedService(q.Get("service"))
	type operation struct {
		Name     string `json:"name"`
		SpanKind string `json:"spanKind"`
	}
	list := []operation{}
	for _, op := range s.Store.Operations(&service) {
		kind := op.Kind.String()
		if kind == "unspecified" {
			kind = ""
		}
		if want := q.Get("spanKind"); want == "" || want == kind {
			list = append(list, operation{jaegerSpanName(op.Name), kind})
		}
	}
	return jaegerWrite(w, r, jaegerAnswer{Data: list, Total: len(list)})
}

func (s *server) jaegerDependencies(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	end := s.Now()
	if v := q.Get("endTs"); v != "" {
		ms, err := strconv.ParseInt(v, 10, 64)
		if err != nil || ms < 0 || ms > 1<<43 {
			return invalid("unable to parse param 'endTs': %q: want unix milliseconds", v)
		}
		end = time.UnixMilli(ms)
	}
	lookback := 24 * time.Hour
	if v := q.Get("lookback"); v != "" {
		ms, err := strconv.ParseInt(v, 10, 64)
		if err != nil || ms < 0 || ms > 1<<43 {
			return invalid("unable to parse param 'lookback': %q: want milliseconds", v)
		}
		lookback = time.Duration(ms) * time.Millisecond
	}
	start := max(1, end.UnixNano()-int64(lookback))
	edges, err := s.Store.Dependencies(r.Context(), uint64(start), uint64(max(1, end.UnixNano())))
	if err != nil {
		return err
	}
	type link struct {
		Parent    string `json:"parent"`
		Child     string `json:"child"`
		CallCount int    `json:"callCount"`
	}
	list := []link{}
	for _, e := range edges {
		l := link{jaegerServiceName(e.Parent), jaegerServiceName(e.Child), e.CallCount}
		if want := q.Get("service"); want == "" || want == l.Parent || want == l.Child {
			list = append(list, l)
		}
	}
	return jaegerWrite(w, r, jaegerAnswer{Data: list})
}

func (s *server) jaegerTrace(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	id, err := jaegerTraceID(r.PathValue("traceID"))
	if err != nil {
		return invalid("%v", err)
	}
	// The range is a hint where to look, in microseconds by Jaeger and in
	// milliseconds by Grafana; here a trace is found without it, and whole.
	for _, name := range []string{"start", "end"} {
		if _, err := jaegerTime(q, name); err != nil {
			return err
		}
	}
	raw, err := jaegerBool(q, "raw")
	if err != nil {
		return err
	}
	trace, _, err := s.Store.Trace(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("trace not found")
	}
	if err != nil {
		return err
	}
	return s.jaegerSend(w, r, raw, nil, func(emit func(*span.Trace)) error {
		emit(trace)
		return nil
	})
}

func (s *server) jaegerTraces(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := jaegerFilter(q)
	if err != nil {
		return err
	}
	raw, err := jaegerBool(q, "raw")
	if err != nil {
		return err
	}
	var ids []span.TraceID
	for _, v := range q["traceID"] {
		id, err := span.ParseTraceID(v)
		if err != nil {
			return invalid("cannot parse traceID param: %v", err)
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	byID := len(ids) > 0
	if !byID {
		if q.Get("service") == "" {
			return invalid("parameter 'service' is required")
		}
		found, err := s.search(r, f)
		if err != nil {
			return err
		}
		for i := range found.Traces {
			ids = append(ids, found.Traces[i].TraceID)
		}
	}
	var missing []jaegerError
	return s.jaegerSend(w, r, raw, &missing, func(emit func(*span.Trace)) error {
		for _, id := range ids {
			trace, _, err := s.Store.Trace(r.Context(), id)
			if errors.Is(err, store.ErrNotFound) {
				if byID { // else it was evicted after it was found
					missing = append(missing, jaegerError{Msg: "trace not found", TraceID: jaegerID(id)})
				}
				continue
			}
			if err != nil {
				return err
			}
			emit(trace)
		}
		return nil
	})
}

// jaegerSend writes the traces that each emits, one after the other, so that no
// more than one is in memory; when indented, all are.
func (s *server) jaegerSend(w http.ResponseWriter, r *http.Request, raw bool, missing *[]jaegerError, each func(emit func(*span.Trace)) error) error {
	var indented bytes.Buffer
	b := bufio.NewWriterSize(w, 64<<10)
	if pretty(r) {
		b = bufio.NewWriter(&indented)
	}
	w.Header().Set("Content-Type", "application/json")
	b.WriteString(`{"data":[`)
	n := 0
	err := each(func(t *span.Trace) {
		if n > 0 {
			b.WriteByte(',')
		}
		n++
		writeJaegerTrace(b, t, raw)
	})
	if err != nil {
		if n == 0 {
			return err // nothing was sent: it is all in the buffer
		}
		s.Log.Error("answering", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler) // the client sees that the answer is cut off
	}
	tail := struct {
		Total  int           `json:"total"`
		Limit  int           `json:"limit"`
		Offset int           `json:"offset"`
		Errors []jaegerError `json:"errors"`
	}{}
	if missing != nil {
		tail.Errors = *missing
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
