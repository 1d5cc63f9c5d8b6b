package ingest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/throughline/throughline/backend/span"
)

// read returns the request in protobuf, with the spans that were lost on the way to
// it from JSON, or a refusal. What it takes is
// held.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request, held *holding) (request string, rejected span.Rejected, err error) {
	encoding := strings.ToLower(req.Header.Get("Content-Encoding"))
	if contentType(req) == "" {
		return "", rejected, &refusal{
			codes.InvalidArgument, http.StatusUnsupportedMediaType,
			fmt.Sprintf("content type %.100q: want %s or %s", req.Header.Get("Content-Type"), protobufType, jsonType),
		}
	}
	if encoding != "" && encoding != "identity" && encoding != "gzip" {
		w.Header().Set("Accept-Encoding", "gzip")
		return "", rejected, &refusal{
			codes.InvalidArgument, http.StatusUnsupportedMediaType,
			fmt.Sprintf("content encoding %.100q: want gzip or none", encoding),
		}
	}
	limits := r.config.Limits
	if req.ContentLength > limits.Body {
		return "", rejected, tooLarge("", limits.Body)
	}
	body := http.MaxBytesReader(w, req.Body, limits.Body)
	text, err := readAll(body, encoding == "gzip", limits.Decompressed, held)
	if err != nil {
		if busy, ok := errors.AsType[*refusal](err); ok {
			return "", rejected, busy
		}
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return "", rejected, tooLarge("", limits.Body)
		}
		if errors.Is(err, errDecompressed) {
			return "", rejected, tooLarge(" after decompression", limits.Decompressed)
		}
		if req.Context().Err() != nil {
			return "", rejected, &refusal{codes.Canceled, 499, "the client gave up"}
		}
		return "", rejected, &refusal{codes.InvalidArgument, http.StatusBadRequest, fmt.Sprintf("reading the request: %v", err)}
	}
	json := contentType(req) == jsonType
	if busy := held.hold(cost(len(text), json)); busy != nil {
		return "", rejected, busy
	}
	if !json {
		return text, rejected, nil
	}
	batch, err := span.DecodeJSON([]byte(text), r.limits())
	if err != nil {
		return "", rejected, decodeError(err)
	}
	return string(span.EncodeProto(batch.Spans)), batch.Rejected, nil
}

func tooLarge(when string, limit int64) *refusal {
	return &refusal{
		codes.ResourceExhausted, http.StatusRequestEntityTooLarge,
		fmt.Sprintf("request is too large%s: the limit is %d bytes", when, limit),
	}
}

var errDecompressed = errors.New("too large after decompression")

// readAll returns the body as a string, without a second copy of it. What it
// takes is held as it grows, because nothing tells beforehand.
func readAll(body io.Reader, compressed bool, most int64, held *holding) (string, error) {
	if compressed {
		z, err := gzip.NewReader(body)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", fmt.Errorf("gzip: %w", err)
		}
		body = z
	}
	var b strings.Builder
	n, err := io.Copy(&b, &heldReader{io.LimitReader(body, most+1), held, 0})
	if err != nil {
		if compressed {
			err = fmt.Errorf("gzip: %w", err)
		}
		return "", err
	}
	if n > most {
		return "", errDecompressed
	}
	return b.String(), nil
}

// heldReader holds twice of what it has read, which is what a growing buffer takes.
type heldReader struct {
	from io.Reader
	held *holding
	read int64
}

func (h *heldReader) Read(p []byte) (int, error) {
	n, err := h.from.Read(p)
	h.read += int64(n)
	if 2*h.read > h.held.bytes {
		if busy := h.held.hold(2*h.read + 64<<10); busy != nil {
			return 0, busy
		}
	}
	return n, err
}
