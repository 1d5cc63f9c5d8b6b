package traceql

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Type is the type of a [Value].
type Type uint8

// The types of TraceQL. TypeAny is that of an attribute before a span is looked
// at; no Value has it.
const (
	TypeNil Type = iota // no such attribute, or one without a value
	TypeString
	TypeBool
	TypeInt
	TypeFloat
	TypeDuration // nanoseconds
	TypeStatus   // a span.StatusCode
	TypeKind     // a span.Kind
	TypeList     // not empty, and all of strings, booleans, integers or floats
	TypeOther    // something that can only be told from nil
	TypeAny
)

var typeNames = [...]string{"nil", "string", "bool", "int", "float", "duration", "status", "kind", "array", "value", "attribute"}

// String is the name that error messages use.
func (t Type) String() string { return typeNames[t] }

func (t Type) numeric() bool { return t == TypeInt || t == TypeFloat || t == TypeDuration }

// Value is a value of TraceQL: a literal, or what a span has for an attribute or
// intrinsic. The zero Value is nil.
type Value struct {
	typ  Type
	num  uint64
	text string
	list *span.Value // of TypeList; a pointer, because most values are none and all are copied
}

// Nil is the value of what is missing.
var Nil = Value{}

// StringValue makes a string.
func StringValue(s string) Value { return Value{typ: TypeString, text: s} }

// IntValue makes an integer.
func IntValue(i int64) Value { return Value{typ: TypeInt, num: uint64(i)} }

// FloatValue makes a floating-point number.
func FloatValue(f float64) Value { return Value{typ: TypeFloat, num: math.Float64bits(f)} }

// BoolValue makes a boolean.
func BoolValue(b bool) Value {
	if b {
		return Value{typ: TypeBool, num: 1}
	}
	return Value{typ: TypeBool}
}

// DurationValue makes a duration.
func DurationValue(d time.Duration) Value { return Value{typ: TypeDuration, num: uint64(d)} }

// StatusValue makes a status.
func StatusValue(c span.StatusCode) Value { return Value{typ: TypeStatus, num: uint64(c)} }

// KindValue makes a kind.
func KindValue(k span.Kind) Value { return Value{typ: TypeKind, num: uint64(k)} }

// ValueOf is a span's value as TraceQL sees it. It does not see bytes, maps, empty
// arrays, and arrays of arrays or of several types: these are nil. An array of one
// element is, as in Tempo, that element.
func ValueOf(v span.Value) Value {
	switch v.Type() {
	case span.TypeEmpty:
		return Nil
	case span.TypeString:
		return StringValue(v.Str())
	case span.TypeBool:
		return BoolValue(v.Bool())
	case span.TypeInt:
		return IntValue(v.Int())
	case span.TypeFloat:
		return FloatValue(v.Float())
	case span.TypeList:
		if primitives(v.List()) {
			if len(v.List()) == 1 {
				return ValueOf(v.List()[0])
			}
			list := v
			return Value{typ: TypeList, list: &list}
		}
	}
	return Nil
}

// primitives reports whether a list is what OTLP calls a homogeneous array.
func primitives(list []span.Value) bool {
	for i := range list {
		t := list[i].Type()
		if t != list[0].Type() || t != span.TypeString && t != span.TypeBool && t != span.TypeInt && t != span.TypeFloat {
			return false
		}
	}
	return len(list) > 0
}

// Type is the value's type.
func (v Value) Type() Type { return v.typ }

// IsNil reports whether there is no value.
func (v Value) IsNil() bool { return v.typ == TypeNil }

// Str is the text of a string, else empty.
func (v Value) Str() string {
	if v.typ != TypeString {
		return ""
	}
	return v.text
}

// Int is the value of an integer, duration (in nanoseconds), status, kind or boolean.
func (v Value) Int() int64 {
	if v.typ == TypeFloat {
		return 0
	}
	return int64(v.num)
}

// Bool reports whether the value is true.
func (v Value) Bool() bool { return v.typ == TypeBool && v.num != 0 }

// Number is a number or a duration (in nanoseconds) as a float; ok is false for
// every other type.
func (v Value) Number() (f float64, ok bool) {
	switch v.typ {
	case TypeInt, TypeDuration:
		return float64(int64(v.num)), true
	case TypeFloat:
		return math.Float64frombits(v.num), true
	}
	return 0, false
}

// List is the elements of an array, else nil.
func (v Value) List() []span.Value {
	if v.list == nil {
		return nil
	}
	return v.list.List()
}

// Text is the value as people write it: a string as it is, durations with units,
// status and kind by name, an array as JSON, nil as "nil".
func (v Value) Text() string {
	switch v.typ {
	case TypeString:
		return v.text
	case TypeBool:
		return strconv.FormatBool(v.num != 0)
	case TypeInt:
		return strconv.FormatInt(int64(v.num), 10)
	case TypeFloat:
		return span.Float(math.Float64frombits(v.num)).Text()
	case TypeDuration:
		return time.Duration(v.num).String()
	case TypeStatus:
		return span.StatusCode(v.num).String()
	case TypeKind:
		return span.Kind(v.num).String()
	case TypeList:
		return v.list.Text()
	}
	return "nil"
}

// String is the value as a literal of TraceQL.
func (v Value) String() string {
	switch v.typ {
	case TypeString:
		return strconv.Quote(v.text)
	case TypeFloat:
		s := v.Text()
		if !strings.ContainsAny(s, ".eIN") {
			s += ".0"
		}
		return s
	case TypeInt:
		if int64(v.num) == math.MinInt64 {
			return "minInt"
		}
	case TypeDuration:
		return formatDuration(time.Duration(v.num))
	}
	return v.Text()
}

// Equal reports whether both have the same type and content.
func (v Value) Equal(o Value) bool {
	if v.typ != o.typ || v.num != o.num || v.text != o.text {
		return false
	}
	return v.typ != TypeList || v.list.Equal(*o.list)
}

// formatDuration is time.Duration.String in ASCII and without units of 0.
func formatDuration(d time.Duration) string {
	s := strings.Replace(d.String(), "µs", "us", 1)
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
