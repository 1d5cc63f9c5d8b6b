package span

import (
	"fmt"
	"math"
	"strconv"
)

// AppendExportResponse appends the protobuf of the ExportTraceServiceResponse
// that tells a client how many of its spans were rejected and why. When none
// were it is empty.
func AppendExportResponse(dst []byte, r *Rejected) []byte {
	if r.Count == 0 {
		return dst
	}
	dst, mark := openMessage(dst, 1)
	dst = appendUint(dst, 1, uint64(r.Count))
	dst = appendText(dst, 2, r.String())
	return closeMessage(dst, mark)
}

// AppendExportResponseJSON is AppendExportResponse in OTLP JSON.
func AppendExportResponseJSON(dst []byte, r *Rejected) []byte {
	if r.Count == 0 {
		return append(dst, "{}"...)
	}
	dst = append(dst, `{"partialSuccess":{"rejectedSpans":"`...)
	dst = strconv.AppendInt(dst, int64(r.Count), 10)
	dst = appendString(append(dst, `","errorMessage":`...), r.String())
	return append(dst, "}}"...)
}

// ReadExportResponse reads the protobuf of an ExportTraceServiceResponse: how many
// spans were rejected, and why.
func ReadExportResponse(message string) (rejected int, why string, err error) {
	for message != "" {
		f, rest, err := nextField(message)
		if err != nil {
			return 0, "", fmt.Errorf("decoding OTLP: %w", err)
		}
		if message = rest; f.number != 1 || f.typ != wireBytes {
			continue
		}
		for inner := f.s; inner != ""; {
			f, rest, err := nextField(inner)
			if err != nil {
				return 0, "", fmt.Errorf("decoding OTLP: partial success: %w", err)
			}
			switch inner = rest; {
			case f.number == 1 && f.typ == wireVarint:
				rejected = int(min(f.n, math.MaxInt32))
			case f.number == 2 && f.typ == wireBytes:
				why = f.s
			}
		}
	}
	return rejected, why, nil
}
