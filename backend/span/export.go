package span

import "strconv"

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
