package tracefile

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// pieces is a reader with a bound on what is read from one mark to the next.
type pieces struct {
	in         io.Reader
	left, most int64
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, p.most)
	}
	n, err := p.in.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n, err
}

// jsonReader walks one or more JSON values, and decodes what is found under the
// names that hold spans.
type jsonReader struct {
	d     *json.Decoder
	in    *pieces
	each  func(*span.Batch) error
	found bool // a name that is one of a file of traces
}

const byteOrderMark = "\ufeff"

// The names under which spans are found, and those of objects around them: the
// answers of several APIs, as they are saved to files.
var (
	otlpNames   = []string{"resourceSpans", "resource_spans", "batches"}
	jaegerNames = []string{"data"}
	outerNames  = []string{"result", "trace", "traces"}
)

func readJSON(in *bufio.Reader, most int64, each func(*span.Batch) error) error {
	if mark, _ := in.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		in.Discard(len(byteOrderMark))
	}
	p := &pieces{in: in, left: most, most: most}
	r := &jsonReader{d: json.NewDecoder(p), in: p, each: each}
	for values := 0; ; values++ {
		p.left = most
		err := r.value(0)
		if errors.Is(err, io.EOF) {
			if values > 0 && !r.found {
				return ErrFormat
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading JSON value %d, near byte %d: %w", values+1, r.d.InputOffset(), err)
		}
	}
}

// maxNesting bounds the objects around the spans.
const maxNesting = 4

// value reads one value: an object that may hold spans, or a list of such.
func (r *jsonReader) value(depth int) error {
	t, err := r.d.Token()
	if err != nil {
		return err // io.EOF only at the top, between values
	}
	switch t {
	case json.Delim('{'):
		return inside(r.object(depth))
	case json.Delim('['):
		return inside(r.list(func() error { return r.value(depth + 1) }, depth))
	}
	return ErrFormat
}

// inside makes an end where it is not expected an error of its own.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *jsonReader) list(one func() error, depth int) error {
	if depth > maxNesting {
		return ErrFormat
	}
	for r.d.More() {
		r.in.left = r.in.most
		if err := one(); err != nil {
			return err
		}
	}
	_, err := r.d.Token()
	return err
}

func (r *jsonReader) object(depth int) error {
	if depth > maxNesting {
		return ErrFormat
	}
	for r.d.More() {
		t, err := r.d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		switch {
		case slices.Contains(otlpNames, name):
			err = r.named(r.resourceSpans)
		case slices.Contains(jaegerNames, name):
			err = r.named(r.jaegerTrace)
		case slices.Contains(outerNames, name):
			err = r.outer(depth)
		case name == "spans" || name == "processes":
			// A trace of Jaeger without the answer around it has to be read whole,
			// because its processes come after its spans.
			return fmt.Errorf("a trace of Jaeger that is not in a list named data: %w", ErrFormat)
		default:
			var skipped json.RawMessage
			err = r.d.Decode(&skipped)
		}
		if err != nil {
			return err
		}
	}
	_, err := r.d.Token()
	return err
}

// outer goes into an object, and past anything else.
func (r *jsonReader) outer(depth int) error {
	t, err := r.d.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('{'):
		return r.object(depth + 1)
	case json.Delim('['):
		return r.list(func() error { return r.value(depth + 2) }, depth+1)
	}
	return nil
}

// named reads the list under a name that holds spans; null is an empty one.
func (r *jsonReader) named(one func() error) error {
	r.found = true
	t, err := r.d.Token()
	switch {
	case err != nil:
		return err
	case t == nil:
		return nil
	case t != json.Delim('['):
		return fmt.Errorf("a list is expected and not %v: %w", t, ErrFormat)
	}
	return r.list(one, 0)
}

func (r *jsonReader) resourceSpans() error {
	var one json.RawMessage
	if err := r.d.Decode(&one); err != nil {
		return err
	}
	batch, err := span.DecodeJSON(slices.Concat([]byte(`{"resourceSpans":[`), one, []byte(`]}`)), limits)
	if err != nil {
		return err
	}
	return r.each(batch)
}

func (r *jsonReader) jaegerTrace() error {
	var one jaegerTrace
	if err := r.d.Decode(&one); err != nil {
		return err
	}
	return r.each(one.batch())
}
