package api

import (
	"net/http"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/export"
	"github.com/throughline/throughline/backend/span"
)

// export streams what is held as lines of OTLP JSON. The answer has no length, so
// that a client sees by its end whether it is whole: when something goes wrong on
// the way the connection is cut.
func (s *server) export(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := only(q, "start", "end", "service", "traceId"); err != nil {
		return err
	}
	var f export.Filter
	var err error
	if f.Start, err = moment("start", q.Get("start")); err != nil {
		return err
	}
	if f.End, err = moment("end", q.Get("end")); err != nil {
		return err
	}
	if f.End != 0 && f.Start > f.End {
		return reply.Invalid("start is after end")
	}
	if q.Has("service") {
		f.Service = new(q.Get("service"))
	}
	if q.Has("traceId") {
		if f.TraceID, err = span.ParseTraceID(q.Get("traceId")); err != nil {
			return reply.Invalid("%v", err)
		}
	}
	w.Header().Set("Content-Type", "application/jsonl")
	if r.Method == http.MethodHead {
		return nil
	}
	out := &patient{w: w, control: http.NewResponseController(w)}
	_, err = export.Write(r.Context(), out, s.Store, f)
	if err == nil || !out.begun {
		return err
	}
	if r.Context().Err() == nil {
		s.Log.Error("exporting", "error", err)
	}
	panic(http.ErrAbortHandler)
}

// patient gives each write the time that a stream's has, however long all of them
// take together.
type patient struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (p *patient) Write(b []byte) (int, error) {
	p.begun = true
	if err := p.control.SetWriteDeadline(time.Now().Add(exportTimeout)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

// exportTimeout is how long a client may take to read one buffer of an export.
const exportTimeout = time.Minute
