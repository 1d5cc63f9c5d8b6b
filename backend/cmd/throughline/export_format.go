package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/throughline/throughline/backend/api/jaeger"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/tracefile"
)

// conversions write, in their format, what another function writes as lines of
// OTLP JSON.
var conversions = map[string]func(w io.Writer, lines func(io.Writer) error) error{
	"otlp-json": func(w io.Writer, lines func(io.Writer) error) error { return lines(w) },
	"otlp-proto": func(w io.Writer, lines func(io.Writer) error) error {
		// Messages of protobuf one after the other are one message.
		return batches(lines, func(b *span.Batch) error {
			_, err := w.Write(span.EncodeProto(b.Spans))
			return err
		})
	},
	"jaeger": func(w io.Writer, lines func(io.Writer) error) error {
		return jaeger.WriteTraces(w, tracesOf(lines))
	},
}

// errStopped ends a reading whose result nobody wants.
var errStopped = errors.New("stopped")

// batches reads lines of OTLP JSON while they are written.
func batches(lines func(io.Writer) error, each func(*span.Batch) error) error {
	read, write := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := lines(write)
		write.CloseWithError(err)
		written <- err
	}()
	err := tracefile.Read(read, tracefile.Options{Format: tracefile.OTLPJSON}, func(b *span.Batch) error {
		if b.Rejected.Count > 0 {
			return fmt.Errorf("reading what is exported: %s", b.Rejected.String())
		}
		return each(b)
	})
	read.CloseWithError(err)
	if e := <-written; e != nil && !errors.Is(err, errStopped) {
		return e // the cause of err, or err itself
	}
	return err
}

// tracesOf puts the lines of a trace, which come after each other, together.
func tracesOf(lines func(io.Writer) error) iter.Seq2[*span.Trace, error] {
	return func(yield func(*span.Trace, error) bool) {
		t := &span.Trace{}
		done := false
		flush := func() error {
			if len(t.Spans) > 0 && !yield(t, nil) {
				done = true
				return errStopped
			}
			t = &span.Trace{}
			return nil
		}
		err := batches(lines, func(b *span.Batch) error {
			for _, s := range b.Spans {
				if s.TraceID != t.ID {
					if err := flush(); err != nil {
						return err
					}
					t.ID = s.TraceID
				}
				t.Spans = append(t.Spans, s)
			}
			return nil
		})
		if err == nil {
			err = flush()
		}
		if err != nil && !done {
			yield(nil, err)
		}
	}
}

// writeTo has write fill a file, which gets its name once it is whole.
func writeTo(name string, stdout io.Writer, write func(io.Writer) error) (err error) {
	if name == "-" {
		return write(stdout)
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("--output %q: not a regular file", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	var w io.WriteCloser = nopCloser{f}
	switch filepath.Ext(name) {
	case ".gz":
		w = gzip.NewWriter(f)
	case ".zst":
		if w, err = zstd.NewWriter(f); err != nil {
			return err
		}
	}
	if err := errors.Join(write(w), w.Close()); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
