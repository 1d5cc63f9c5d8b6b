package store

import (
	"math"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Filter selects traces. A trace fits when at least one of its spans fits all of
// the conditions together and the trace overlaps the range of time. The zero
// Filter selects all.
type Filter struct {
	Service     *string
	Name        *string // of the span, exactly
	Kind        *span.Kind
	Status      *span.StatusCode
	MinDuration time.Duration // of the span
	MaxDuration time.Duration // of the span; 0 means no bound
	Attributes  []AttributeFilter

	// Where, if it is not nil, decides last, about spans that fit the rest. It is
	// called without any lock held.
	Where func(*span.Span) bool

	// Bounds of the span's start, unix nanoseconds; 0 means none.
	StartMin, StartMax uint64

	// The range that the trace overlaps, unix nanoseconds; 0 means no bound.
	Start, End uint64
	Limit      int // of the traces found; 0 means no limit
}

// AttributeFilter demands an attribute of the span or else of its resource. The
// value is compared with [span.Value.Text].
type AttributeFilter struct {
	Key, Value string
}

// latest is the last start of a trace that may fit.
func (f *Filter) latest() uint64 {
	latest := uint64(math.MaxUint64)
	if f.End != 0 {
		latest = f.End
	}
	if f.StartMax != 0 {
		latest = min(latest, f.StartMax)
	}
	return latest
}

// Fits says whether one span fits the conditions.
func (f *Filter) Fits(s *span.Span) bool {
	if f.Service != nil && *f.Service != s.ServiceName() ||
		f.Name != nil && *f.Name != s.Name ||
		f.Kind != nil && *f.Kind != s.Kind ||
		f.Status != nil && *f.Status != s.Status.Code ||
		!f.inTime(s.StartTime, s.EndTime-s.StartTime) {
		return false
	}
	for _, a := range f.Attributes {
		if !hasText(s.Attributes, a) && !hasText(s.Resource.Attributes, a) {
			return false
		}
	}
	return f.Where == nil || f.Where(s)
}

func (f *Filter) inTime(start, duration uint64) bool {
	return duration >= uint64(f.MinDuration) && (f.MaxDuration == 0 || duration <= uint64(f.MaxDuration)) &&
		start >= f.StartMin && (f.StartMax == 0 || start <= f.StartMax)
}

// byTime says whether inTime may be false.
func (f *Filter) byTime() bool {
	return f.MinDuration > 0 || f.MaxDuration > 0 || f.StartMin > 0 || f.StartMax > 0
}

func hasText(attributes []span.Attribute, want AttributeFilter) bool {
	for i := range attributes {
		if attributes[i].Key == want.Key && attributes[i].Value.Text() == want.Value {
			return true
		}
	}
	return false
}

// series says of which series spans may fit, and which attributes their
// resources have already; nil when there is none.
func (f *Filter) series(list []series, name func(series) []byte, service func(i int) []byte, resource func(series) *span.Resource) []seriesFit {
	fits := make([]seriesFit, len(list))
	some := false
	var byResource map[uint32]uint64
	for i, s := range list {
		if f.Kind != nil && int32(*f.Kind) != s.kind || f.Status != nil && int32(*f.Status) != s.status ||
			f.Service != nil && string(service(i)) != *f.Service || f.Name != nil && string(name(s)) != *f.Name {
			continue
		}
		fits[i].may, some = true, true
		if len(f.Attributes) == 0 {
			continue
		}
		has, ok := byResource[s.resource]
		if !ok {
			r := resource(s)
			for j, a := range f.Attributes {
				if j < 64 && hasText(r.Attributes, a) {
					has |= 1 << j
				}
			}
			if byResource == nil {
				byResource = map[uint32]uint64{}
			}
			byResource[s.resource] = has
		}
		fits[i].has = has
	}
	if !some {
		return nil
	}
	return fits
}

// seriesFit is what a series says about a filter.
type seriesFit struct {
	may bool
	has uint64 // which of the attributes the resource has
}

// numberOf returns the bits of the value of type t whose text is text.
func numberOf(t span.Type, text string) (uint64, bool) {
	var v span.Value
	switch t {
	case span.TypeInt:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, false
		}
		v = span.Int(n)
	case span.TypeBool:
		v = span.Bool(text == "true")
	case span.TypeFloat:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, false
		}
		v = span.Float(n)
	}
	return v.Num(), v.Text() == text
}
