package storetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// Varied makes the spans of random traces with every kind of column: dictionaries,
// pages, numbers that repeat and that do not, lists, keys twice or too long for a
// column, links. Most spans of a trace follow each other.
func Varied(rng *rand.Rand, traces int) []span.Span {
	spans := Spans(rng, traces)
	long := strings.Repeat("k", 300)
	for i := range spans {
		s := &spans[i]
		add := func(key string, v span.Value) {
			s.Attributes = append(s.Attributes, span.Attribute{Key: key, Value: v})
		}
		if rng.IntN(3) > 0 {
			add("path", span.String(fmt.Sprintf("/%x/%x", rng.IntN(4), rng.Uint64()>>rng.IntN(60))))
		}
		if rng.IntN(3) > 0 {
			add("route", span.String(fmt.Sprintf("/r/%d", rng.IntN(5))))
		}
		switch rng.IntN(12) {
		case 0:
			add("any", span.Int(rng.Int64N(3)))
		case 1:
			add("any", span.Int(int64(rng.Uint64())))
		case 2:
			add("any", span.Float(rng.NormFloat64()))
		case 3:
			add("any", span.String("text"))
		case 4:
			add("any", span.List([]span.Value{span.Int(1), span.Int(rng.Int64N(2))}))
		case 5:
			add("any", span.Value{})
		case 6:
			add("any", span.Bool(true))
			add("any", span.Int(1))
		case 7:
			add(long, span.Int(rng.Int64N(2)))
		case 8:
			add("any", span.Bytes("\xff"))
		}
		if rng.IntN(4) == 0 {
			s.Status.Message = fmt.Sprint("message ", rng.IntN(3))
		}
		for range rng.IntN(4) - 1 {
			s.Links = append(s.Links, span.Link{TraceID: s.TraceID, SpanID: s.SpanID, Attributes: []span.Attribute{{Key: "n", Value: span.Int(rng.Int64N(3))}}})
		}
		for j := range s.Events {
			if rng.IntN(2) == 0 {
				s.Events[j].Attributes = append(s.Events[j].Attributes, span.Attribute{Key: "code", Value: span.Int(rng.Int64N(4))})
			}
		}
		// A span that arrives again is the same one in a newer version.
		if rng.IntN(20) == 0 {
			spans = append(spans, *s)
		}
	}
	// Most traces arrive together, so that they are in one place; a few spans are late.
	late := rng.IntN(20)
	order := map[span.TraceID]int{}
	for i := range spans {
		if _, ok := order[spans[i].TraceID]; !ok {
			order[spans[i].TraceID] = len(order)
		}
	}
	at := func(s *span.Span) int { return order[s.TraceID] }
	slices.SortStableFunc(spans, func(a, b span.Span) int { return cmp.Compare(at(&a), at(&b)) })
	for range late {
		i, j := rng.IntN(len(spans)), rng.IntN(len(spans))
		spans[i], spans[j] = spans[j], spans[i]
	}
	return spans
}
