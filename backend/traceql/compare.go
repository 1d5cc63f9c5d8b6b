package traceql

import (
	"cmp"
	"math"
	"strings"
)

// holds compares two values. What is missing fulfils no comparison, nor do values
// of types that do not fit. Of an array, one element that fulfils it is enough.
func holds(op Op, l, r *Value, m *Matcher) bool {
	switch {
	case l.typ == TypeList || r.typ == TypeList:
		return listHolds(op, l, r, m)
	case l.typ == TypeNil || r.typ == TypeNil:
		return false
	case op == OpMatch:
		return l.typ == TypeString && m.MatchString(l.text)
	case op == OpNotMatch:
		return l.typ == TypeString && !m.MatchString(l.text)
	case l.typ == TypeString && r.typ == TypeString:
		if op == OpEqual || op == OpNotEqual {
			return (l.text == r.text) == (op == OpEqual)
		}
		return order(op, strings.Compare(l.text, r.text))
	case l.typ.numeric() && r.typ.numeric():
		return numberHolds(op, l, r)
	case l.typ == r.typ && l.typ != TypeOther:
		return op == OpEqual && l.num == r.num || op == OpNotEqual && l.num != r.num
	}
	return false
}

func numberHolds(op Op, l, r *Value) bool {
	if l.typ != TypeFloat && r.typ != TypeFloat {
		return order(op, cmp.Compare(int64(l.num), int64(r.num)))
	}
	a, _ := l.Number()
	b, _ := r.Number()
	switch op {
	case OpEqual:
		return a == b
	case OpNotEqual:
		return a != b
	case OpLess:
		return a < b
	case OpLessEqual:
		return a <= b
	case OpGreater:
		return a > b
	}
	return a >= b
}

// order says whether a comparison holds for what Compare returned.
func order(op Op, c int) bool {
	switch op {
	case OpEqual:
		return c == 0
	case OpNotEqual:
		return c != 0
	case OpLess:
		return c < 0
	case OpLessEqual:
		return c <= 0
	case OpGreater:
		return c > 0
	case OpGreaterEqual:
		return c >= 0
	}
	return false
}

func listHolds(op Op, l, r *Value, m *Matcher) bool {
	if l.typ != TypeList {
		return listHolds(op.Mirror(), r, l, m)
	}
	for _, v := range l.List() {
		element := ValueOf(v)
		if holds(op, &element, r, m) {
			return true
		}
	}
	return false
}

// holdsLiteral compares an attribute's value with a literal. Here even numbers must
// have the same type.
func holdsLiteral(op Op, v, lit *Value, m *Matcher) bool {
	t := v.typ
	if t == TypeList {
		t = ValueOf(v.List()[0]).typ
	}
	return t == lit.typ && holds(op, v, lit, m)
}

// arithmetic works on two numbers. The result is nil unless both are, and of the
// division of an integer by 0.
func arithmetic(op Op, l, r Value) Value {
	if !l.typ.numeric() || !r.typ.numeric() {
		return Nil
	}
	a, _ := l.Number()
	b, _ := r.Number()
	if l.typ != TypeFloat && r.typ != TypeFloat {
		typ := TypeInt
		if l.typ == TypeDuration || r.typ == TypeDuration {
			typ = TypeDuration
		}
		x, y := int64(l.num), int64(r.num)
		switch {
		case op == OpAdd:
			return Value{typ: typ, num: uint64(x + y)}
		case op == OpSub:
			return Value{typ: typ, num: uint64(x - y)}
		case op == OpMul:
			return Value{typ: typ, num: uint64(x * y)}
		case op == OpPow:
			return FloatValue(math.Pow(a, b))
		case y == 0:
			return Nil
		case op == OpDiv:
			return Value{typ: typ, num: uint64(x / y)}
		case op == OpMod:
			return Value{typ: typ, num: uint64(x % y)}
		}
	}
	switch op {
	case OpAdd:
		return FloatValue(a + b)
	case OpSub:
		return FloatValue(a - b)
	case OpMul:
		return FloatValue(a * b)
	case OpDiv:
		return FloatValue(a / b)
	case OpMod:
		return FloatValue(math.Mod(a, b))
	}
	return FloatValue(math.Pow(a, b))
}

// sameID reports whether a text is the hexadecimal digits of an id, with or
// without zeros in front, as Tempo writes them.
func sameID(id []byte, text string) bool {
	const digits = "0123456789abcdef"
	if len(text) > 2*len(id) {
		return false
	}
	for i := range 2 * len(id) {
		b := id[len(id)-1-i/2] >> (4 * (i % 2)) & 15
		c := byte('0')
		if i < len(text) {
			c = text[len(text)-1-i]
		}
		if c != digits[b] {
			return false
		}
	}
	return true
}
