package span

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
)

// Attribute is a key with its value.
type Attribute struct {
	Key   string
	Value Value
}

// Get returns the value of the first attribute with that key.
func Get(attributes []Attribute, key string) (Value, bool) {
	for i := range attributes {
		if attributes[i].Key == key {
			return attributes[i].Value, true
		}
	}
	return Value{}, false
}

// Type is the type of a [Value].
type Type uint8

// The types of OTLP's AnyValue.
const (
	TypeEmpty Type = iota
	TypeString
	TypeBool
	TypeInt
	TypeFloat
	TypeBytes
	TypeList
	TypeMap
)

// Value is an attribute's value: one of OTLP's types. The zero Value is the
// empty one, which OTLP allows.
type Value struct {
	typ  Type
	num  uint64 // bool, int, float
	text string // string, bytes
	many *many  // list, map
}

type many struct {
	values     []Value
	attributes []Attribute
}

// String makes a string value.
func String(s string) Value { return Value{typ: TypeString, text: s} }

// Bool makes a boolean value.
func Bool(b bool) Value {
	v := Value{typ: TypeBool}
	if b {
		v.num = 1
	}
	return v
}

// Int makes an integer value.
func Int(i int64) Value { return Value{typ: TypeInt, num: uint64(i)} }

// Float makes a floating-point value.
func Float(f float64) Value { return Value{typ: TypeFloat, num: math.Float64bits(f)} }

// Bytes makes a value of raw bytes, held in a string because it does not change.
func Bytes(b string) Value { return Value{typ: TypeBytes, text: b} }

// List makes a value of values. It keeps vs.
func List(vs []Value) Value { return Value{typ: TypeList, many: &many{values: vs}} }

// Map makes a value of keys and values. It keeps kvs.
func Map(kvs []Attribute) Value { return Value{typ: TypeMap, many: &many{attributes: kvs}} }

// Type says which of the accessors below holds the value.
func (v Value) Type() Type { return v.typ }

// Str is the text of a string or the bytes of a bytes value, else empty.
func (v Value) Str() string { return v.text }

// Bool is the value of a boolean, else false.
func (v Value) Bool() bool { return v.typ == TypeBool && v.num != 0 }

// Int is the value of an integer, else 0.
func (v Value) Int() int64 {
	if v.typ != TypeInt {
		return 0
	}
	return int64(v.num)
}

// Float is the value of a floating-point number, else 0.
func (v Value) Float() float64 {
	if v.typ != TypeFloat {
		return 0
	}
	return math.Float64frombits(v.num)
}

// List is the elements of a list, else nil.
func (v Value) List() []Value {
	if v.typ != TypeList {
		return nil
	}
	return v.many.values
}

// Map is the pairs of a map, else nil.
func (v Value) Map() []Attribute {
	if v.typ != TypeMap {
		return nil
	}
	return v.many.attributes
}

// Text is the value as people write it: strings as they are, numbers in
// decimal, with an exponent only when very large or small, booleans as true and
// false, bytes in base64, lists and maps as plain JSON, the empty value as nothing.
func (v Value) Text() string {
	switch v.typ {
	case TypeString:
		return v.text
	case TypeBool:
		return strconv.FormatBool(v.num != 0)
	case TypeInt:
		return strconv.FormatInt(int64(v.num), 10)
	case TypeFloat:
		f := v.Float()
		format := byte('f')
		if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
			format = 'e'
		}
		return strconv.FormatFloat(f, format, -1, 64)
	case TypeBytes:
		return base64.StdEncoding.EncodeToString([]byte(v.text))
	case TypeList, TypeMap:
		return string(v.appendPlain(nil))
	}
	return ""
}

// appendPlain appends the value as ordinary JSON, without OTLP's type names.
func (v Value) appendPlain(dst []byte) []byte {
	switch v.typ {
	case TypeString, TypeBytes:
		return appendString(dst, v.Text())
	case TypeBool, TypeInt:
		return append(dst, v.Text()...)
	case TypeFloat:
		return appendFloat(dst, v.Float())
	case TypeList:
		dst = append(dst, '[')
		for i, e := range v.many.values {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.appendPlain(dst)
		}
		return append(dst, ']')
	case TypeMap:
		dst = append(dst, '{')
		for i, a := range v.many.attributes {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, a.Key), ':')
			dst = a.Value.appendPlain(dst)
		}
		return append(dst, '}')
	}
	return append(dst, "null"...)
}

// Equal reports whether both have the same type and content; NaN equals itself.
func (v Value) Equal(o Value) bool {
	if v.typ != o.typ || v.num != o.num || v.text != o.text {
		return false
	}
	switch v.typ {
	case TypeList:
		return slices.EqualFunc(v.many.values, o.many.values, Value.Equal)
	case TypeMap:
		return slices.EqualFunc(v.many.attributes, o.many.attributes, func(a, b Attribute) bool {
			return a.Key == b.Key && a.Value.Equal(b.Value)
		})
	}
	return true
}
