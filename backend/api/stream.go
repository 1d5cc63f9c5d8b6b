package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
)

// maxStreams bounds the streams, each of which costs a little with every trace.
const maxStreams = 100

// The timing of the stream, as api.md promises it.
const (
	gatherTime    = 100 * time.Millisecond // arrivals within it are one event
	statusEvery   = time.Second
	keepAlive     = 15 * time.Second
	streamTimeout = 10 * time.Second // for one write; a slower client is let go
)

// stream sends server-sent events until the client leaves, the server stops, or
// the client does not take an event in time.
func (s *server) stream(w http.ResponseWriter, r *http.Request) error {
	f, err := filterOf(r.URL.Query())
	if err != nil {
		return err
	}
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return &reply.Error{
			Code: "unavailable", Status: http.StatusServiceUnavailable,
			Message: fmt.Sprintf("%d streams are open, which is the most", maxStreams),
		}
	}
	defer s.streams.Add(-1)
	sub := s.Store.Subscribe()
	defer sub.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	e := &events{w: w, control: http.NewResponseController(w)}
	// The server's timeouts are for requests that end.
	if err := e.control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	last := s.statusNow()
	e.send("status", last)
	if err := e.flush(); err != nil {
		return nil
	}
	status, alive := time.NewTicker(statusEvery), time.NewTicker(keepAlive)
	defer status.Stop()
	defer alive.Stop()
	var gather <-chan time.Time // ready when gathered changes are to be sent
	changes := sub.C
	for {
		select {
		case <-r.Context().Done():
			return nil
		case _, open := <-changes:
			if !open {
				return nil
			}
			changes, gather = nil, time.After(gatherTime)
			continue
		case <-gather:
			changes, gather = sub.C, nil
			ids, lagged := sub.Take()
			if lagged {
				e.send("reset", struct{}{})
			}
			found, err := s.Store.Match(r.Context(), ids, f)
			if err != nil {
				return nil
			}
			for i := range found {
				e.send("trace", summaryOf(&found[i]))
			}
		case <-status.C:
			if st := s.statusNow(); !st.same(last) {
				last = st
				e.send("status", st)
			}
		case <-alive.C:
			e.buf.WriteString(": alive\n\n")
		}
		if e.flush() != nil {
			return nil
		}
	}
}

// same compares all but the uptime.
func (s statusJSON) same(o statusJSON) bool {
	s.UptimeNano, o.UptimeNano = "", ""
	a, _ := json.Marshal(s)
	b, _ := json.Marshal(o)
	return bytes.Equal(a, b)
}

// events gathers server-sent events and writes them under a deadline.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     bytes.Buffer
}

func (e *events) send(event string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		return
	}
	e.buf.WriteString("event: ")
	e.buf.WriteString(event)
	e.buf.WriteString("\ndata: ")
	e.buf.Write(text)
	e.buf.WriteString("\n\n")
}

func (e *events) flush() error {
	if e.buf.Len() == 0 {
		return nil
	}
	if err := e.control.SetWriteDeadline(time.Now().Add(streamTimeout)); err != nil {
		return err
	}
	if _, err := e.buf.WriteTo(e.w); err != nil {
		return err
	}
	return e.control.Flush()
}

func appendJSON(dst []byte, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	return append(dst, text...), err
}
