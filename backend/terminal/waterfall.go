package terminal

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Waterfall says what of a trace to draw.
type Waterfall struct {
	// Details shows attributes, events and links below each span.
	Details bool
	// Spans bounds the rows; 0 means all.
	Spans int
	Zone  *time.Location // nil means local
}

// waterfall is one that is drawn: the columns are the names, the bars and the
// durations.
type waterfall struct {
	Waterfall
	style      Style
	services   *Services
	tree       *tree
	from       uint64
	span       float64 // from the first start to the last end, at least 1
	names, bar int     // widths
	out        *bufio.Writer
}

const durationWidth = 8

// Waterfall draws a trace: its spans as a tree, and beside each when it ran and
// for how long.
func (s Style) Waterfall(w io.Writer, t *span.Trace, summary *span.Summary, o Waterfall) error {
	if s.Width <= 0 {
		s.Width = 120
	}
	s.Width = max(s.Width, 48)
	if o.Zone == nil {
		o.Zone = time.Local
	}
	f := &waterfall{Waterfall: o, style: s, services: s.Services(), tree: newTree(t), from: math.MaxUint64, out: bufio.NewWriter(w)}
	to := uint64(0)
	for i := range t.Spans {
		f.from, to = min(f.from, t.Spans[i].StartTime), max(to, t.Spans[i].EndTime, t.Spans[i].StartTime)
	}
	f.span = max(1, float64(to-f.from))
	order := f.tree.order
	if o.Spans > 0 && len(order) > o.Spans {
		order = order[:o.Spans]
	}
	longest := 0
	for _, i := range order {
		longest = max(longest, width(f.tree.indent(i))+f.labelWidth(i))
	}
	f.names = min(longest, max(24, s.Width*45/100))
	f.bar = s.Width - f.names - durationWidth - 3
	f.head(summary)
	f.axis()
	for _, i := range order {
		f.row(i)
	}
	if left := len(f.tree.order) - len(order); left > 0 {
		fmt.Fprintln(f.out, s.Dim(fmt.Sprintf("… and %s", Count(left, "more span"))))
	}
	return f.out.Flush()
}

// head says of the trace what a list says, and which service has which colour.
func (f *waterfall) head(m *span.Summary) {
	title, id, between := serviceOf(m.RootService)+": "+nameOf(m.RootName), m.TraceID.String(), "  "
	if width(title)+2+len(id) > f.style.Width {
		between = "\n"
	}
	fmt.Fprintln(f.out, f.style.Bold(cut(title, f.style.Width))+between+f.style.Dim(id))
	facts := []string{Time(m.StartTime, f.Zone), Duration(durationOf(m.StartTime, m.EndTime)), Count(m.SpanCount, "span")}
	if m.ErrorCount > 0 {
		facts = append(facts, f.style.Red(Count(m.ErrorCount, "error")))
	}
	if !m.HasRoot {
		facts = append(facts, "the root has not arrived")
	}
	if m.OrphanCount > 0 {
		facts = append(facts, Count(m.OrphanCount, "span")+" without the parent")
	}
	fmt.Fprintln(f.out, strings.Join(facts, " · "))
	var names []string
	for _, c := range m.Services {
		names = append(names, f.services.Paint(c.Name, "■ "+serviceOf(c.Name))+f.style.Dim(fmt.Sprintf(" %d", c.SpanCount)))
	}
	fmt.Fprintln(f.out, strings.Join(names, "  "))
	fmt.Fprintln(f.out)
}

func serviceOf(name string) string {
	if name == "" {
		return "(no service.name)"
	}
	return Text(name)
}

func nameOf(name string) string {
	if name == "" {
		return "(no name)"
	}
	return Text(name)
}

// durationOf is 0 for a span that ends before it starts.
func durationOf(start, end uint64) time.Duration {
	if end < start {
		return 0
	}
	return time.Duration(min(end-start, math.MaxInt64))
}

// axis writes the times of the start, the quarters and the end above the bars.
func (f *waterfall) axis() {
	line := []rune(strings.Repeat(" ", f.bar))
	parts := 4
	if f.bar < 40 {
		parts = 1
	}
	for k := range parts + 1 {
		text := []rune(Duration(time.Duration(f.span * float64(k) / float64(parts))))
		if k == 0 {
			text = []rune("0")
		}
		at := f.bar * k / parts
		switch {
		case k == parts:
			at = f.bar - len(text)
		case k > 0:
			at -= len(text) / 2
		}
		copy(line[max(0, at):], text)
	}
	fmt.Fprintln(f.out, strings.TrimRight(strings.Repeat(" ", f.names+2)+f.style.Dim(string(line)), " "))
}

// label is what a row says of its span: its service where that is not its
// parent's, its name, and what is odd about its place.
func (f *waterfall) label(i int) (mark, service, name, note string) {
	n := &f.tree.nodes[i]
	if n.depth > maxIndent {
		mark = fmt.Sprintf("(%d) ", n.depth)
	}
	if n.span.Status.Code == span.StatusError {
		mark += "✗ "
	}
	if own := n.span.ServiceName(); n.parent < 0 || own != f.tree.nodes[n.parent].span.ServiceName() {
		service = serviceOf(own) + ": "
	}
	switch {
	case n.place == orphan:
		note = " (parent missing)"
	case n.place == cycle && n.span.ParentSpanID == n.span.SpanID:
		note = " (its own parent)"
	case n.place == cycle:
		note = " (parent is below)"
	}
	return mark, service, nameOf(n.span.Name), note
}

func (f *waterfall) labelWidth(i int) int {
	mark, service, name, note := f.label(i)
	return width(mark) + width(service) + width(name) + width(note)
}

func (f *waterfall) row(i int) {
	n := &f.tree.nodes[i]
	s := n.span
	indent := cut(f.tree.indent(i), f.names/2)
	mark, service, name, note := f.label(i)
	left := f.names - width(indent)
	take := func(text string) string {
		text = cut(text, left)
		left -= width(text)
		return text
	}
	mark, service = take(mark), take(service)
	// What is odd is more than the end of a name.
	if width(name)+width(note) > left && note != "" {
		name = cut(name, max(8, left-width(note)))
	}
	name, note = take(name), take(note)
	failed := s.Status.Code == span.StatusError
	if failed {
		name = f.style.Red(name)
	}
	fmt.Fprint(f.out, f.style.Dim(indent), f.style.Red(mark), f.services.Paint(s.ServiceName(), service), name, f.style.Dim(note),
		strings.Repeat(" ", max(0, left)+2), f.services.Paint(s.ServiceName(), f.bars(s)), " ",
		fill(cut(Duration(durationOf(s.StartTime, s.EndTime)), durationWidth), durationWidth, true), "\n")
	under := strings.Repeat(" ", min(width(indent)+2, f.names/2))
	if failed || f.Details {
		if text := failure(s); text != "" {
			fmt.Fprintln(f.out, under+f.style.Red(cut("↳ "+Text(text), f.style.Width-width(under))))
		}
	}
	if f.Details {
		f.details(s, under)
	}
}

// failure is what a span says of its error.
func failure(s *span.Span) string {
	if s.Status.Message != "" {
		return s.Status.Message
	}
	for i := len(s.Events) - 1; i >= 0; i-- {
		if s.Events[i].Name != "exception" {
			continue
		}
		kind, _ := span.Get(s.Events[i].Attributes, "exception.type")
		message, _ := span.Get(s.Events[i].Attributes, "exception.message")
		return strings.Trim(kind.Text()+": "+message.Text(), ": ")
	}
	return ""
}

var eighths = []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}

// bars draws when a span ran, to an eighth of a column at its end; what is
// shorter than that is one eighth.
func (f *waterfall) bars(s *span.Span) string {
	scale := float64(f.bar) / f.span
	from := int(float64(s.StartTime-f.from) * scale)
	from = min(from, f.bar-1)
	end := float64(s.StartTime-f.from)*scale + float64(durationOf(s.StartTime, s.EndTime))*scale
	eights := max(1, min(int(math.Round((end-float64(from))*8)), 8*(f.bar-from)))
	text := strings.Repeat(" ", from) + strings.Repeat("█", eights/8) + eighths[eights%8]
	return fill(text, f.bar, false)
}

// details writes what else a span holds.
func (f *waterfall) details(s *span.Span, under string) {
	line := func(key, value string) {
		text := cut(Text(key)+" = "+Text(value), f.style.Width-width(under))
		fmt.Fprintln(f.out, under+f.style.Dim(text))
	}
	line("span", s.SpanID.String()+" "+s.Kind.String())
	attributes := func(prefix string, list []span.Attribute) {
		for _, a := range list {
			line(prefix+a.Key, a.Value.Text())
		}
	}
	attributes("", s.Attributes)
	for i := range s.Events {
		e := &s.Events[i]
		line("event +"+Duration(durationOf(s.StartTime, e.Time)), e.Name)
		attributes("  ", e.Attributes)
	}
	for i := range s.Links {
		line("link", s.Links[i].TraceID.String()+" "+s.Links[i].SpanID.String())
		attributes("  ", s.Links[i].Attributes)
	}
}
