package store

import (
	"github.com/throughline/throughline/backend/span"
)

// columnReader reads a field of spans as numbers of values.
type columnReader struct {
	*FieldRef
	kind   readKind
	series []uint32 // by series: number of the value and 1, 0 unknown
	few    []uint32 // by position in the dictionary, likewise
	projected
}

type readKind uint8

const (
	readSeries readKind = iota
	readColumn
	readRest
	readDuration
	readRoot
	readMessage // of a status, which every span has
)

// readers are what reads a field: of attributes a column for each type, and those
// without a column.
func (s *spanBlocks) readers(r *FieldRef) (list []columnReader) {
	switch {
	case r.ofSeries():
		return []columnReader{{FieldRef: r, kind: readSeries, series: make([]uint32, len(s.t.series))}}
	case r.Field == SpanDuration:
		return []columnReader{{FieldRef: r, kind: readDuration}}
	case r.Field == SpanRoot:
		return []columnReader{{FieldRef: r, kind: readRoot}}
	}
	want := columnKey{scope: ScopeSpan, key: r.Key}
	if r.Field == StatusMessage {
		want = columnKey{scope: ScopeSpanField, key: fieldStatusMessage}
	}
	for pass := range 2 {
		for i := range s.foot.columns {
			ref := &s.foot.columns[i]
			c := columnReader{FieldRef: r, kind: readColumn}
			switch {
			case pass == 0 && ref.scope == want.scope && ref.key == want.key:
			case pass == 1 && want.scope == ScopeSpan && ref.scope == ScopeSpanField && ref.key == fieldRest:
				c.kind = readRest
			default:
				continue
			}
			c.projected = projected{scanColumn: s.segmentPlan.reading(i), values: newPick(s.packed(ref.values))}
			switch ref.enc {
			case encTable:
				c.few = make([]uint32, s.room(ref.texts.ends.n))
			case encFew:
				c.few = make([]uint32, s.room(ref.few.n))
			}
			list = append(list, c)
		}
	}
	if r.Field == StatusMessage {
		list = append(list, columnReader{FieldRef: r, kind: readMessage})
	}
	return list
}

// column appends the numbers of the values that rows of a block have.
func (s *spanBlocks) column(readers []columnReader, in *interner, b int, rows []uint16, out []uint32) []uint32 {
	from := len(out)
	for range rows {
		out = append(out, 0)
	}
	part := out[from:]
	for k := range readers {
		s.read(&readers[k], in, b, rows, part)
	}
	return out
}

// read sets the numbers of those rows that have none yet and have the field.
func (s *spanBlocks) read(c *columnReader, in *interner, b int, rows []uint16, out []uint32) {
	keys := s.rowKeys(0, b)
	first := uint64(b) << blockBits
	switch c.kind {
	case readSeries:
		for j, i := range rows {
			if out[j] != 0 {
				continue
			}
			n := c.series[keys[i]]
			if n == 0 {
				if v, ok := s.common(c.FieldRef, keys[i]); ok {
					n = in.value(v)
				}
				n++
				c.series[keys[i]] = n
			}
			out[j] = n - 1
		}
	case readColumn, readRest:
		for j, i := range rows {
			if out[j] == 0 && c.has[keys[i]] != 0 {
				out[j] = s.valueNumber(c, in, c.at(s.blockScan, first+uint64(i)))
			}
		}
	case readMessage:
		for j := range out {
			if out[j] == 0 {
				out[j] = in.text("")
			}
		}
	case readDuration, readRoot:
		ref := s.foot.duration
		if c.kind == readRoot {
			ref = s.foot.parent
		}
		p := newPick(s.packed(ref))
		for j, i := range rows {
			if out[j] != 0 {
				continue
			}
			v := p.get(first + uint64(i))
			if c.kind == readRoot {
				out[j] = in.value(span.Bool(v == 0))
			} else {
				out[j] = in.value(span.Int(int64(v)))
			}
		}
	}
}

// common is the value of a field that the spans of a series have in common.
func (s *spanBlocks) common(r *FieldRef, number uint64) (span.Value, bool) {
	se := &s.t.series[number]
	name := unsafeString(s.table(s.foot.names).at(uint64(se.name)))
	return r.common(name, span.Kind(se.kind), span.StatusCode(se.status), s.resource(s.t, se.resource), s.scope(s.t, se.scope))
}

// valueNumber is that of a value of a column.
func (s *spanBlocks) valueNumber(c *columnReader, in *interner, at uint64) uint32 {
	if c.ref.enc == encPages {
		return s.textNumber(c, in, s.pageText(c.ref, &c.pages, at))
	}
	v := c.values.get(at)
	if c.few == nil {
		return in.value(numberValue(c.ref.typ, unorder(c.ref.typ, v)))
	}
	if v >= uint64(len(c.few)) {
		s.fail("position beyond the dictionary")
	}
	n := c.few[v]
	if n == 0 {
		if c.ref.enc == encTable {
			n = s.textNumber(c, in, s.table(c.ref.texts).at(v))
		} else {
			few := s.packed(c.ref.few)
			n = in.value(numberValue(c.ref.typ, unorder(c.ref.typ, few.get(v))))
		}
		n++
		c.few[v] = n
	}
	return n - 1
}

func (s *spanBlocks) textNumber(c *columnReader, in *interner, text []byte) uint32 {
	switch {
	case c.kind == readRest:
		if v, ok := span.Get(appendRest(nil, unsafeString(text)), c.Key); ok {
			return in.value(v)
		}
		return 0
	case c.ref.typ == span.TypeString:
		return in.text(unsafeString(text))
	}
	return in.value(textValue(c.ref.typ, unsafeString(text)))
}
