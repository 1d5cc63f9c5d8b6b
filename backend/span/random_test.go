package span_test

import (
	"math"
	"math/rand/v2"

	"github.com/throughline/throughline/backend/span"
)

// randomSpans makes the spans of a request in which every field that OTLP has is
// set now and then, in the order in which a decoder finds them.
func randomSpans(rng *rand.Rand) []span.Span {
	var spans []span.Span
	for range rng.IntN(3) {
		resource := &span.Resource{
			Attributes:             randomAttributes(rng, 2),
			DroppedAttributesCount: randomCount(rng),
			SchemaURL:              randomText(rng),
		}
		for range 1 + rng.IntN(3) {
			scope := &span.Scope{
				Name: randomText(rng), Version: randomText(rng),
				Attributes:             randomAttributes(rng, 1),
				DroppedAttributesCount: randomCount(rng),
				SchemaURL:              randomText(rng),
			}
			for range 1 + rng.IntN(4) {
				s := randomSpan(rng)
				s.Resource, s.Scope = resource, scope
				spans = append(spans, s)
			}
		}
	}
	return spans
}

func randomSpan(rng *rand.Rand) span.Span {
	s := span.Span{
		TraceState: randomText(rng), Flags: randomCount(rng), Name: randomText(rng),
		Kind:                   span.Kind(rng.IntN(7)),
		StartTime:              1 + rng.Uint64N(math.MaxUint64),
		EndTime:                1 + rng.Uint64N(math.MaxUint64),
		Status:                 span.Status{Code: span.StatusCode(rng.IntN(3)), Message: randomText(rng)},
		Attributes:             randomAttributes(rng, 3),
		DroppedAttributesCount: randomCount(rng),
		DroppedEventsCount:     randomCount(rng),
		DroppedLinksCount:      randomCount(rng),
	}
	randomID(rng, s.TraceID[:])
	randomID(rng, s.SpanID[:])
	if rng.IntN(2) == 0 {
		randomID(rng, s.ParentSpanID[:])
	}
	for range rng.IntN(3) {
		s.Events = append(s.Events, span.Event{
			Time: rng.Uint64(), Name: randomText(rng),
			Attributes: randomAttributes(rng, 1), DroppedAttributesCount: randomCount(rng),
		})
	}
	for range rng.IntN(3) {
		l := span.Link{
			TraceState: randomText(rng), Flags: randomCount(rng),
			Attributes: randomAttributes(rng, 1), DroppedAttributesCount: randomCount(rng),
		}
		if rng.IntN(4) > 0 {
			randomID(rng, l.TraceID[:])
			randomID(rng, l.SpanID[:])
		}
		s.Links = append(s.Links, l)
	}
	return s
}

func randomAttributes(rng *rand.Rand, depth int) []span.Attribute {
	var attributes []span.Attribute
	for range rng.IntN(5) {
		attributes = append(attributes, span.Attribute{Key: randomText(rng), Value: randomValue(rng, depth)})
	}
	return attributes
}

func randomValue(rng *rand.Rand, depth int) span.Value {
	switch n := rng.IntN(8); {
	case n == 0:
		return span.Value{}
	case n == 1:
		return span.Bool(rng.IntN(2) == 0)
	case n == 2:
		return span.Int(int64(rng.Uint64()))
	case n == 3:
		return span.Float([]float64{0, math.Inf(1), math.Inf(-1), math.NaN(), rng.NormFloat64(), math.MaxFloat64, 5e-324, 1e21}[rng.IntN(8)])
	case n == 4:
		return span.Bytes(randomText(rng) + "\xff\x00")
	case n == 5 && depth > 0:
		values := []span.Value{}
		for range rng.IntN(4) {
			values = append(values, randomValue(rng, depth-1))
		}
		return span.List(values)
	case n == 6 && depth > 0:
		return span.Map(randomAttributes(rng, depth-1))
	}
	return span.String(randomText(rng))
}

func randomText(rng *rand.Rand) string {
	texts := []string{"", "a", "service.name", "GET /articles/v1/{id}", "größe ≤ 🚀", "\"quoted\" \\ \n\t\x01", "</script>\u2028"}
	if rng.IntN(20) == 0 {
		long := make([]byte, rng.IntN(20_000))
		for i := range long {
			long[i] = 'a' + byte(rng.IntN(26))
		}
		return string(long)
	}
	return texts[rng.IntN(len(texts))]
}

func randomCount(rng *rand.Rand) uint32 {
	return []uint32{0, 0, 1, 257, math.MaxUint32}[rng.IntN(5)]
}

func randomID(rng *rand.Rand, id []byte) {
	for i := range id {
		id[i] = byte(1 + rng.IntN(255))
	}
}
