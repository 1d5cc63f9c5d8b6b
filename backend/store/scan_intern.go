package store

import (
	"github.com/throughline/throughline/backend/span"
)

// interner gives the values of a column numbers.
type interner struct {
	numbers map[internKey]uint32
	texts   map[string]uint32
	others  map[string]uint32 // by their encoding
	values  []span.Value
	max     int
	bytes   int // of texts
}

// internKey is a value that is a number or a boolean.
type internKey struct {
	typ span.Type
	num uint64
}

func (n *interner) value(v span.Value) uint32 {
	switch v.Type() {
	case span.TypeString:
		return n.text(v.Str())
	case span.TypeEmpty:
		return 0
	case span.TypeBool, span.TypeInt, span.TypeFloat:
		k := internKey{v.Type(), v.Num()}
		i, ok := n.numbers[k]
		if !ok {
			i = n.add(v)
			n.numbers[k] = i
		}
		return i
	}
	key := string(v.AppendProto(nil))
	i, ok := n.others[key]
	if !ok {
		n.grow(len(key))
		var own span.Value
		if own.ReadProto(key) != nil {
			own = span.Bytes(key)
		}
		i = n.add(own)
		n.others[key] = i
	}
	return i
}

func (n *interner) text(s string) uint32 {
	i, ok := n.texts[s]
	if !ok {
		n.grow(len(s))
		own := string([]byte(s))
		i = n.add(span.String(own))
		n.texts[own] = i
	}
	return i
}

func (n *interner) add(v span.Value) uint32 {
	if len(n.values) > n.max {
		panic(tooManyValues{})
	}
	n.values = append(n.values, v)
	return uint32(len(n.values) - 1)
}

// maxInterned is how many bytes the texts of one column may have.
const maxInterned = 64 << 20

func (n *interner) grow(bytes int) {
	if n.bytes += bytes; n.bytes > maxInterned {
		panic(tooManyValues{})
	}
}

// tooManyValues is what interner panics with, for spanScan.worker.
type tooManyValues struct{}
