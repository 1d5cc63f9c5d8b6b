package span

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"io"
	"iter"
	"math"
	"strconv"
	"unicode/utf8"
)

// WriteJSON writes spans as OTLP JSON, a TracesData: ids in hexadecimal,
// 64-bit integers as decimal strings, enumerations as numbers, bytes in base64,
// NaN and the infinities as strings. Lists are always there, empty or not; other
// fields that hold their zero are left out where readers know the default.
// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
func WriteJSON(w io.Writer, spans []Span) error {
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(`{"resourceSpans":[`)
	writeGroups(b, 0, Group(spans))
	b.WriteString("]}")
	return b.Flush()
}

// WriteResourceSpans writes the value of resourceSpans alone, of spans that come
// in any number of batches and are in memory one batch at a time.
func WriteResourceSpans(w io.Writer, batches iter.Seq[[]Span]) error {
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteByte('[')
	n := 0
	for spans := range batches {
		groups := Group(spans)
		writeGroups(b, n, groups)
		n += len(groups)
	}
	b.WriteByte(']')
	return b.Flush()
}

// writeGroups writes elements of which n are written before. It leaves errors to
// b, which keeps the first one.
func writeGroups(b *bufio.Writer, n int, groups []ResourceSpans) {
	var buf []byte
	for i, rs := range groups {
		buf = append(comma(buf[:0], n+i), `{"resource":{"attributes":`...)
		buf = appendAttributesJSON(buf, rs.Resource.Attributes)
		buf = appendCountJSON(buf, "droppedAttributesCount", rs.Resource.DroppedAttributesCount)
		buf = append(buf, `},"scopeSpans":[`...)
		for j, ss := range rs.Scopes {
			buf = append(comma(buf, j), `{"scope":`...)
			buf = ss.Scope.appendJSON(buf)
			buf = append(buf, `,"spans":[`...)
			for k, s := range ss.Spans {
				b.Write(buf)
				buf = s.appendJSON(comma(buf[:0], k))
			}
			buf = append(buf, ']')
			buf = appendTextJSON(buf, "schemaUrl", ss.Scope.SchemaURL)
			buf = append(buf, '}')
		}
		buf = append(buf, ']')
		buf = appendTextJSON(buf, "schemaUrl", rs.Resource.SchemaURL)
		b.Write(append(buf, '}'))
	}
}

func (c *Scope) appendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `{"name":`...), c.Name)
	dst = appendString(append(dst, `,"version":`...), c.Version)
	if len(c.Attributes) > 0 {
		dst = appendAttributesJSON(append(dst, `,"attributes":`...), c.Attributes)
	}
	dst = appendCountJSON(dst, "droppedAttributesCount", c.DroppedAttributesCount)
	return append(dst, '}')
}

func (s *Span) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"traceId":"`...)
	dst = hex.AppendEncode(dst, s.TraceID[:])
	dst = append(dst, `","spanId":"`...)
	dst = appendSpanIDJSON(dst, s.SpanID)
	dst = append(dst, `","parentSpanId":"`...)
	dst = appendSpanIDJSON(dst, s.ParentSpanID)
	dst = append(dst, '"')
	dst = appendTextJSON(dst, "traceState", s.TraceState)
	dst = appendCountJSON(dst, "flags", s.Flags)
	dst = appendString(append(dst, `,"name":`...), s.Name)
	dst = strconv.AppendInt(append(dst, `,"kind":`...), int64(s.Kind), 10)
	dst = appendUintJSON(append(dst, `,"startTimeUnixNano":`...), s.StartTime)
	dst = appendUintJSON(append(dst, `,"endTimeUnixNano":`...), s.EndTime)
	dst = appendAttributesJSON(append(dst, `,"attributes":`...), s.Attributes)
	dst = appendCountJSON(dst, "droppedAttributesCount", s.DroppedAttributesCount)
	dst = append(dst, `,"events":[`...)
	for i := range s.Events {
		e := &s.Events[i]
		dst = appendUintJSON(append(comma(dst, i), `{"timeUnixNano":`...), e.Time)
		dst = appendString(append(dst, `,"name":`...), e.Name)
		dst = appendAttributesJSON(append(dst, `,"attributes":`...), e.Attributes)
		dst = append(appendCountJSON(dst, "droppedAttributesCount", e.DroppedAttributesCount), '}')
	}
	dst = appendCountJSON(append(dst, ']'), "droppedEventsCount", s.DroppedEventsCount)
	dst = append(dst, `,"links":[`...)
	for i := range s.Links {
		l := &s.Links[i]
		dst = append(comma(dst, i), `{"traceId":"`...)
		if !l.TraceID.IsZero() {
			dst = hex.AppendEncode(dst, l.TraceID[:])
		}
		dst = append(dst, `","spanId":"`...)
		dst = append(appendSpanIDJSON(dst, l.SpanID), '"')
		dst = appendTextJSON(dst, "traceState", l.TraceState)
		dst = appendCountJSON(dst, "flags", l.Flags)
		dst = appendAttributesJSON(append(dst, `,"attributes":`...), l.Attributes)
		dst = append(appendCountJSON(dst, "droppedAttributesCount", l.DroppedAttributesCount), '}')
	}
	dst = appendCountJSON(append(dst, ']'), "droppedLinksCount", s.DroppedLinksCount)
	dst = append(dst, `,"status":{`...)
	mark := len(dst)
	if s.Status.Code != 0 {
		dst = strconv.AppendInt(append(dst, `"code":`...), int64(s.Status.Code), 10)
	}
	if s.Status.Message != "" {
		dst = append(comma(dst, len(dst)-mark), `"message":`...)
		dst = appendString(dst, s.Status.Message)
	}
	return append(dst, "}}"...)
}

func comma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

func appendSpanIDJSON(dst []byte, id SpanID) []byte {
	if id.IsZero() {
		return dst
	}
	return hex.AppendEncode(dst, id[:])
}

func appendTextJSON(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), key...), `":`...)
	return appendString(dst, value)
}

func appendCountJSON(dst []byte, key string, n uint32) []byte {
	if n == 0 {
		return dst
	}
	dst = append(append(append(dst, `,"`...), key...), `":`...)
	return strconv.AppendUint(dst, uint64(n), 10)
}

func appendUintJSON(dst []byte, n uint64) []byte {
	return append(strconv.AppendUint(append(dst, '"'), n, 10), '"')
}

func appendAttributesJSON(dst []byte, attributes []Attribute) []byte {
	dst = append(dst, '[')
	for i := range attributes {
		dst = appendString(append(comma(dst, i), `{"key":`...), attributes[i].Key)
		dst = appendValueJSON(append(dst, `,"value":`...), attributes[i].Value)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendValueJSON(dst []byte, v Value) []byte {
	switch v.typ {
	case TypeString:
		dst = appendString(append(dst, `{"stringValue":`...), v.text)
	case TypeBool:
		dst = strconv.AppendBool(append(dst, `{"boolValue":`...), v.num != 0)
	case TypeInt:
		dst = append(strconv.AppendInt(append(dst, `{"intValue":"`...), int64(v.num), 10), '"')
	case TypeFloat:
		dst = appendFloat(append(dst, `{"doubleValue":`...), v.Float())
	case TypeBytes:
		dst = append(dst, `{"bytesValue":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, []byte(v.text)), '"')
	case TypeList:
		dst = append(dst, `{"arrayValue":{"values":[`...)
		for i, e := range v.many.values {
			dst = appendValueJSON(comma(dst, i), e)
		}
		dst = append(dst, "]}"...)
	case TypeMap:
		dst = appendAttributesJSON(append(dst, `{"kvlistValue":{"values":`...), v.many.attributes)
		dst = append(dst, '}')
	default:
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[from:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[from:i]...)
			dst = append(dst, "\uFFFD"...)
			i++
			from = i
			continue
		}
		i += n
	}
	return append(append(dst, s[from:]...), '"')
}
