package store

import (
	"math"

	"github.com/throughline/throughline/backend/span"
)

// numberState says whether a span has a number for a column.
type numberState uint8

const (
	numberUnknown numberState = iota // none of the fields so far has a value
	numberIs
	numberNot // it has a value that is no number
)

func numberOfValue(v span.Value) (float64, numberState) {
	switch v.Type() {
	case span.TypeInt:
		return float64(v.Int()), numberIs
	case span.TypeFloat:
		return v.Float(), numberIs
	}
	return 0, numberNot
}

// numbers appends what rows of a block have for the number column.
func (s *spanBlocks) numbers(b int, rows []uint16, out *SpanBatch) {
	from := len(out.Number)
	states := s.states[:len(rows)]
	clear(states)
	out.Number = append(out.Number, make([]float64, len(rows))...)
	for k := range s.numeric {
		s.readNumbers(&s.numeric[k], b, rows, out.Number[from:], states)
	}
	for _, state := range states {
		out.IsNumber = append(out.IsNumber, state == numberIs)
	}
}

func (s *spanBlocks) readNumbers(c *columnReader, b int, rows []uint16, out []float64, states []numberState) {
	keys := s.rowKeys(0, b)
	first := uint64(b) << blockBits
	for j, i := range rows {
		if states[j] != numberUnknown {
			continue
		}
		row := first + uint64(i)
		switch c.kind {
		case readSeries:
			if v, ok := s.common(c.FieldRef, keys[i]); ok && v.Type() != span.TypeEmpty {
				out[j], states[j] = numberOfValue(v)
			}
		case readColumn, readRest:
			if c.has[keys[i]] != 0 {
				out[j], states[j] = s.numberAt(c, c.at(s.blockScan, row))
			}
		case readDuration:
			p := s.packed(s.foot.duration)
			out[j], states[j] = float64(int64(p.get(row))), numberIs
		default:
			states[j] = numberNot
		}
	}
}

// numberAt is the number at a position of a column.
func (s *spanBlocks) numberAt(c *columnReader, at uint64) (float64, numberState) {
	typ := c.ref.typ
	switch {
	case typ == span.TypeInt || typ == span.TypeFloat:
		v := c.values.get(at)
		if c.ref.enc == encFew {
			few := s.packed(c.ref.few)
			v = few.get(v)
		}
		if v = unorder(typ, v); typ == span.TypeInt {
			return float64(int64(v)), numberIs
		}
		return math.Float64frombits(v), numberIs
	case typ == span.TypeEmpty:
		return 0, numberUnknown
	case c.kind != readRest:
		return 0, numberNot
	}
	var rest []byte
	if c.ref.enc == encPages {
		rest = s.pageText(c.ref, &c.pages, at)
	} else {
		rest = s.table(c.ref.texts).at(c.values.get(at))
	}
	v, ok := span.Get(appendRest(nil, unsafeString(rest)), c.Key)
	if !ok || v.Type() == span.TypeEmpty {
		return 0, numberUnknown
	}
	return numberOfValue(v)
}
