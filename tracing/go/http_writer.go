package tracing

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// responseWriter notes the status and size of a response.
type responseWriter struct {
	http.ResponseWriter
	status   int // the final one, 0 before it is sent
	size     int64
	hijacked bool

	// The writer as handlers see it, for the two servers of net/http; see expose.
	http1 http1Writer
	http2 http2Writer
}

func (w *responseWriter) WriteHeader(status int) {
	// 1xx are followed by the final status, save for 101.
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.implicitOK()
	n, err := w.ResponseWriter.Write(p)
	w.size += int64(n)
	return n, err
}

// WriteString spares a copy where the inner writer does.
func (w *responseWriter) WriteString(s string) (int, error) {
	w.implicitOK()
	n, err := io.WriteString(w.ResponseWriter, s)
	w.size += int64(n)
	return n, err
}

// Unwrap is for [http.ResponseController].
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) implicitOK() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

func (w *responseWriter) flush() {
	w.implicitOK()
	w.ResponseWriter.(http.Flusher).Flush()
}

// flushError prefers the inner FlushError, as [http.ResponseController] does.
func (w *responseWriter) flushError() error {
	w.implicitOK()
	if f, ok := w.ResponseWriter.(interface{ FlushError() error }); ok {
		return f.FlushError()
	}
	w.ResponseWriter.(http.Flusher).Flush()
	return nil
}

func (w *responseWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.ResponseWriter.(http.Hijacker).Hijack()
	if err == nil {
		w.hijacked = true
	}
	return conn, rw, err
}

func (w *responseWriter) readFrom(src io.Reader) (int64, error) {
	w.implicitOK()
	n, err := w.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
	w.size += n
	return n, err
}

func (w *responseWriter) push(target string, opts *http.PushOptions) error {
	return w.ResponseWriter.(http.Pusher).Push(target, opts)
}

// The optional interfaces, each as a type that adds it. A pointer to one of the structs below has just the interfaces
// that the inner writer has: code that asks "does it flush?" must get the true answer.
type (
	flusher    struct{ w *responseWriter }
	hijacker   struct{ w *responseWriter }
	readerFrom struct{ w *responseWriter }
	pusher     struct{ w *responseWriter }
)

func (f flusher) Flush()            { f.w.flush() }
func (f flusher) FlushError() error { return f.w.flushError() }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.w.hijack() }

func (r readerFrom) ReadFrom(src io.Reader) (int64, error) { return r.w.readFrom(src) }

func (p pusher) Push(target string, opts *http.PushOptions) error { return p.w.push(target, opts) }

type (
	http1Writer struct {
		*responseWriter
		flusher
		hijacker
		readerFrom
	}
	http2Writer struct {
		*responseWriter
		flusher
		pusher
	}
)

// expose returns w with the optional interfaces of the writer it wraps.
func (w *responseWriter) expose() http.ResponseWriter {
	const (
		canFlush = 1 << iota
		canHijack
		canReadFrom
		canPush
	)
	set := 0
	if _, ok := w.ResponseWriter.(http.Flusher); ok {
		set |= canFlush
	}
	if _, ok := w.ResponseWriter.(http.Hijacker); ok {
		set |= canHijack
	}
	if _, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		set |= canReadFrom
	}
	if _, ok := w.ResponseWriter.(http.Pusher); ok {
		set |= canPush
	}
	f, h, r, p := flusher{w}, hijacker{w}, readerFrom{w}, pusher{w}
	switch set {
	case canFlush:
		return &struct {
			*responseWriter
			flusher
		}{w, f}
	case canHijack:
		return &struct {
			*responseWriter
			hijacker
		}{w, h}
	case canReadFrom:
		return &struct {
			*responseWriter
			readerFrom
		}{w, r}
	case canPush:
		return &struct {
			*responseWriter
			pusher
		}{w, p}
	case canFlush | canHijack:
		return &struct {
			*responseWriter
			flusher
			hijacker
		}{w, f, h}
	case canFlush | canReadFrom:
		return &struct {
			*responseWriter
			flusher
			readerFrom
		}{w, f, r}
	case canFlush | canPush: // HTTP/2
		w.http2 = http2Writer{w, f, p} // part of w: no allocation
		return &w.http2
	case canHijack | canReadFrom:
		return &struct {
			*responseWriter
			hijacker
			readerFrom
		}{w, h, r}
	case canHijack | canPush:
		return &struct {
			*responseWriter
			hijacker
			pusher
		}{w, h, p}
	case canReadFrom | canPush:
		return &struct {
			*responseWriter
			readerFrom
			pusher
		}{w, r, p}
	case canFlush | canHijack | canReadFrom: // HTTP/1
		w.http1 = http1Writer{w, f, h, r}
		return &w.http1
	case canFlush | canHijack | canPush:
		return &struct {
			*responseWriter
			flusher
			hijacker
			pusher
		}{w, f, h, p}
	case canFlush | canReadFrom | canPush:
		return &struct {
			*responseWriter
			flusher
			readerFrom
			pusher
		}{w, f, r, p}
	case canHijack | canReadFrom | canPush:
		return &struct {
			*responseWriter
			hijacker
			readerFrom
			pusher
		}{w, h, r, p}
	case canFlush | canHijack | canReadFrom | canPush:
		return &struct {
			*responseWriter
			flusher
			hijacker
			readerFrom
			pusher
		}{w, f, h, r, p}
	}
	return w
}
