package span

import (
	"fmt"
	"strings"
	"time"
)

// Earliest is the earliest start time that Validate accepts: what lies before
// is a time in seconds or milliseconds taken for nanoseconds, or a clock that
// was never set.
var Earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// MaxAhead is how far a span's end may lie ahead of the receiver's clock.
const MaxAhead = 24 * time.Hour

// Validate moves the spans that no store or reader could make sense of to
// Rejected:
//
//   - a trace id or span id of zeros (or, when decoding, of a wrong length);
//   - a start time before [Earliest], which includes none;
//   - no end time, or one before the start time;
//   - an end time more than [MaxAhead] after now.
//
// Everything else is accepted as it came: an unknown kind, an empty name, a
// parent that is the span itself, a service without a name.
func (b *Batch) Validate(now time.Time) {
	latest := uint64(now.Add(MaxAhead).UnixNano())
	kept := b.Spans[:0]
	for i := range b.Spans {
		s := &b.Spans[i]
		reason := s.fault(latest)
		if reason != "" {
			b.Rejected.Add(reason, s)
			continue
		}
		kept = append(kept, *s)
	}
	clear(b.Spans[len(kept):])
	b.Spans = kept
}

// fault says by which rule of Validate the span is invalid, empty when it is
// valid. No span may end after latest.
func (s *Span) fault(latest uint64) string {
	switch {
	case s.TraceID.IsZero():
		return "trace id of zeros"
	case s.SpanID.IsZero():
		return "span id of zeros"
	case s.StartTime == 0:
		return "no start time"
	case s.StartTime < uint64(Earliest.UnixNano()):
		return "start time before " + Earliest.Format(time.DateOnly)
	case s.EndTime == 0:
		return "no end time"
	case s.EndTime < s.StartTime:
		return "end time before the start time"
	case s.EndTime > latest:
		return "end time more than " + MaxAhead.String() + " ahead of the receiver's clock"
	}
	return ""
}

// Rejected counts the spans of a batch that were left out, by reason.
type Rejected struct {
	Count   int
	reasons []rejection
}

type rejection struct {
	reason  string
	example string
	count   int
}

// maxReasons bounds what a message to the client holds.
const maxReasons = 5

// Add counts one span; example is one that the reason is about.
func (r *Rejected) Add(reason string, example *Span) {
	r.Count++
	for i := range r.reasons {
		if r.reasons[i].reason == reason {
			r.reasons[i].count++
			return
		}
	}
	if len(r.reasons) < maxReasons {
		about := fmt.Sprintf("span %q of service %q", clip(example.Name), clip(example.ServiceName()))
		r.reasons = append(r.reasons, rejection{reason: strings.Clone(reason), example: about, count: 1})
	}
}

// String says how many spans were rejected and why, for the client; it is empty
// when there are none.
func (r *Rejected) String() string {
	if r.Count == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d spans rejected", r.Count)
	told := 0
	for i, e := range r.reasons {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%d × %s (%s)", sep, e.count, e.reason, e.example)
		told += e.count
	}
	if told < r.Count {
		fmt.Fprintf(&b, "; %d × other reasons", r.Count-told)
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}
