package terminal

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Outline says what of a trace to write as an outline.
type Outline struct {
	Spans  int // bounds the lines; 0 means all
	Values int // bounds the bytes of each attribute's value; 0 leaves attributes out
}

// WriteOutline writes a trace as text for who does not see bars: a line for each
// span with its start, its duration and its attributes, indented as its depth.
func WriteOutline(w io.Writer, t *span.Trace, m *span.Summary, o Outline) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "trace %s: %s: %s, began %s, took %s, %s, %s\n", m.TraceID, serviceOf(m.RootService), nameOf(m.RootName),
		Time(m.StartTime, time.UTC)+" UTC", Duration(durationOf(m.StartTime, m.EndTime)), Count(m.SpanCount, "span"), Count(m.ErrorCount, "error"))
	tr := newTree(t)
	order := tr.order
	if o.Spans > 0 && len(order) > o.Spans {
		order = order[:o.Spans]
	}
	for _, i := range order {
		n := &tr.nodes[i]
		s := n.span
		depth := ""
		if n.depth > maxIndent {
			depth = fmt.Sprintf("(depth %d) ", n.depth)
		}
		fmt.Fprintf(b, "%s%s%s: %s [%s] at +%s took %s", strings.Repeat("  ", min(n.depth, maxIndent)), depth, serviceOf(s.ServiceName()), nameOf(s.Name),
			s.Kind, Duration(durationOf(m.StartTime, s.StartTime)), Duration(durationOf(s.StartTime, s.EndTime)))
		switch n.place {
		case orphan:
			b.WriteString(", its parent has not arrived")
		case cycle:
			b.WriteString(", its parent is itself or below it")
		}
		if s.Status.Code == span.StatusError {
			b.WriteString(", ERROR")
			if text := failure(s); text != "" {
				b.WriteString(": " + Text(clipBytes(text, max(o.Values, 200))))
			}
		}
		if o.Values > 0 {
			writeAttributes(b, s.Attributes, o.Values)
			for j := range s.Events {
				fmt.Fprintf(b, " event %q", Text(clipBytes(s.Events[j].Name, o.Values)))
				writeAttributes(b, s.Events[j].Attributes, o.Values)
			}
		}
		b.WriteByte('\n')
	}
	if left := len(tr.order) - len(order); left > 0 {
		fmt.Fprintf(b, "… and %s\n", Count(left, "more span"))
	}
	return b.Flush()
}

// maxAttributes bounds those of one span in an outline.
const maxAttributes = 24

func writeAttributes(b *bufio.Writer, list []span.Attribute, most int) {
	if len(list) == 0 {
		return
	}
	b.WriteString(" {")
	for i, a := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == maxAttributes {
			b.WriteString("…")
			break
		}
		b.WriteString(Text(clipBytes(a.Key, most)) + "=" + Text(clipBytes(a.Value.Text(), most)))
	}
	b.WriteByte('}')
}

func clipBytes(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
