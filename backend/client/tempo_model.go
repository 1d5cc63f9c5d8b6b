package client

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// tempoTrace is one trace of Tempo's answer to a search.
type tempoTrace struct {
	TraceID           string
	RootServiceName   string
	RootTraceName     string
	StartTimeUnixNano integer
	DurationMs        integer
	SpanSet           *tempoSpanSet
	SpanSets          []tempoSpanSet
	ServiceStats      map[string]struct{ SpanCount, ErrorCount int }
}

type tempoSpanSet struct {
	Matched int
	Spans   []matchedSpan
}

// matchedSpan is a span of Tempo's answer or of the native API's, which names the
// duration otherwise.
type matchedSpan struct {
	SpanID            string
	Name              string
	StartTimeUnixNano integer
	DurationNanos     integer
	DurationNano      integer
	Attributes        []struct {
		Key   string
		Value json.RawMessage
	}
}

// notYet is what Tempo says of the root of a trace whose root it has not got, and
// of the service of a root that has none.
const notYet = "<root span not yet received>"

func (t *tempoTrace) match() (Match, error) {
	id, err := span.ParseTraceID(t.TraceID)
	if err != nil {
		return Match{}, err
	}
	m := Match{Summary: span.Summary{
		TraceID: id, RootService: t.RootServiceName, RootName: t.RootTraceName,
		StartTime: uint64(max(0, t.StartTimeUnixNano)), HasRoot: t.RootServiceName != notYet || t.RootTraceName != notYet,
	}}
	m.EndTime = m.StartTime + uint64(max(0, t.DurationMs))*uint64(time.Millisecond)
	for _, text := range []*string{&m.RootService, &m.RootName} {
		if *text == notYet {
			*text = ""
		}
	}
	for name, c := range t.ServiceStats {
		m.Services = append(m.Services, span.ServiceCount{Name: name, SpanCount: c.SpanCount, ErrorCount: c.ErrorCount})
		m.SpanCount += c.SpanCount
		m.ErrorCount += c.ErrorCount
	}
	slices.SortFunc(m.Services, func(a, b span.ServiceCount) int { return strings.Compare(a.Name, b.Name) })
	sets := t.SpanSets
	if len(sets) == 0 && t.SpanSet != nil { // an older form of the same
		sets = []tempoSpanSet{*t.SpanSet}
	}
	return m, m.take(sets)
}

// take adds the spans of spansets, each once and by their start.
func (m *Match) take(sets []tempoSpanSet) error {
	seen := map[span.SpanID]bool{}
	for _, set := range sets {
		m.Matched += set.Matched
		for _, s := range set.Spans {
			id, err := parseSpanID(s.SpanID)
			if err != nil {
				return err
			}
			if seen[id] {
				continue
			}
			seen[id] = true
			one := SpanMatch{SpanID: id, Name: s.Name, StartTime: uint64(max(0, s.StartTimeUnixNano)), Duration: time.Duration(max(s.DurationNanos, s.DurationNano))}
			for _, a := range s.Attributes {
				if a.Key == "name" {
					continue // it is said already
				}
				one.Attributes = append(one.Attributes, span.Attribute{Key: a.Key, Value: attributeValue(a.Value)})
			}
			slices.SortFunc(one.Attributes, func(a, b span.Attribute) int { return cmp.Compare(a.Key, b.Key) })
			m.Spans = append(m.Spans, one)
		}
	}
	slices.SortStableFunc(m.Spans, func(a, b SpanMatch) int { return cmp.Compare(a.StartTime, b.StartTime) })
	return nil
}

// parseSpanID reads hexadecimal digits, of which Tempo leaves out leading zeros.
func parseSpanID(text string) (id span.SpanID, err error) {
	digits := strings.Repeat("0", max(0, 2*len(id)-len(text))) + text
	if n, err := hex.DecodeString(digits); err != nil || copy(id[:], n) != len(n) {
		return id, fmt.Errorf("span id %q: want 16 hexadecimal digits", clip(text))
	}
	return id, nil
}

// nativeTrace is one trace of the native API's answer to a search.
type nativeTrace struct {
	TraceID                            string
	RootService, RootName              string
	HasRoot                            bool
	StartTimeUnixNano, DurationNano    integer
	SpanCount, ErrorCount, OrphanCount int
	Services                           []span.ServiceCount
	Spansets                           []tempoSpanSet
}

func (t *nativeTrace) match() (Match, error) {
	id, err := span.ParseTraceID(t.TraceID)
	if err != nil {
		return Match{}, err
	}
	start := uint64(max(0, t.StartTimeUnixNano))
	m := Match{Summary: span.Summary{
		TraceID: id, RootService: t.RootService, RootName: t.RootName, HasRoot: t.HasRoot,
		StartTime: start, EndTime: start + uint64(max(0, t.DurationNano)),
		SpanCount: t.SpanCount, ErrorCount: t.ErrorCount, OrphanCount: t.OrphanCount, Services: t.Services,
	}}
	return m, m.take(t.Spansets)
}
