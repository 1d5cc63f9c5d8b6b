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
	Spans   []struct {
		SpanID            string
		Name              string
		StartTimeUnixNano integer
		DurationNanos     integer
		Attributes        []struct {
			Key   string
			Value json.RawMessage
		}
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
	seen := map[span.SpanID]bool{}
	for _, set := range sets {
		m.Matched += set.Matched
		for _, s := range set.Spans {
			var id span.SpanID
			text := strings.Repeat("0", max(0, 16-len(s.SpanID))) + s.SpanID
			if n, err := hex.Decode(id[:], []byte(text[:16])); err != nil || n != len(id) || len(text) > 16 {
				return Match{}, fmt.Errorf("span id %q", clip(s.SpanID))
			}
			if seen[id] {
				continue
			}
			seen[id] = true
			one := SpanMatch{SpanID: id, Name: s.Name, StartTime: uint64(max(0, s.StartTimeUnixNano)), Duration: time.Duration(s.DurationNanos)}
			for _, a := range s.Attributes {
				one.Attributes = append(one.Attributes, span.Attribute{Key: a.Key, Value: attributeValue(a.Value)})
			}
			slices.SortFunc(one.Attributes, func(a, b span.Attribute) int { return cmp.Compare(a.Key, b.Key) })
			m.Spans = append(m.Spans, one)
		}
	}
	slices.SortStableFunc(m.Spans, func(a, b SpanMatch) int { return cmp.Compare(a.StartTime, b.StartTime) })
	return m, nil
}
