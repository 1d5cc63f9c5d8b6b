package tempo

import (
	"testing"

	"github.com/throughline/throughline/backend/api/wire"
	"github.com/throughline/throughline/backend/traceql"
)

// What a client of gRPC sends is decoded or refused, and a search by tags is a
// query.
func FuzzRequests(f *testing.F) {
	f.Add([]byte("\x0a\x18\x0a\x0cservice.name\x12\x08articles\x10\x05\x18\x06\x28\x01\x30\x02"))
	f.Add([]byte("\x0a\x06\x0a\x01\"\x12\x01\\"))
	f.Add([]byte("\x42\x02{}\x48\x03"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		var s searchMessage
		if wire.Read(message, s.ReadField) == nil && len(message) < 1000 {
			if _, err := traceql.Parse(s.traceQL()); err != nil {
				t.Errorf("tags %q: %s: %v", s.tags, s.traceQL(), err)
			}
		}
		var names tagsMessage
		var values tagValuesMessage
		var series rangeMessage
		var instant instantMessage
		for _, m := range []wire.Request{&names, &values, &series, &instant} {
			_ = wire.Read(message, m.ReadField)
		}
		if a, ok := ParseAttribute(values.tag); ok && len(values.tag) < 1000 {
			if again, ok := ParseAttribute(a.String()); !ok || again != a {
				t.Errorf("attribute %q is %v, which is read as %v", values.tag, a, again)
			}
		}
	})
}
