package jaeger

import (
	"testing"

	"github.com/throughline/throughline/backend/api/wire"
)

// What a client of gRPC sends is decoded or refused.
func FuzzFindRequest(f *testing.F) {
	f.Add([]byte("\x0a\x1c\x0a\x03web\x1a\x06\x0a\x01a\x12\x01b\x22\x02\x08\x01\x2a\x06\x08\x05\x10\x80\x94\xeb\xdc\x03\x40\x05"))
	f.Add([]byte("\x0a\x02\x52\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		var r findRequest
		if wire.Read(message, r.ReadField) != nil {
			return
		}
		if s, err := r.checked(); err == nil && (s.limit < 1 || s.limit > maxLimit || s.startMin > s.startMax) {
			t.Errorf("search %+v", s)
		}
		var g getTraceRequest
		var o getOperationsRequest
		var d getDependenciesRequest
		_ = wire.Read(message, g.ReadField)
		_ = wire.Read(message, o.ReadField)
		_ = wire.Read(message, d.ReadField)
	})
}
