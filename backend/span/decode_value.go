package span

import (
	"fmt"
	"unsafe"
)

// spend takes bytes from what the request may still take.
func (d *decoder) spend(bytes uintptr) error {
	if d.left -= int(bytes); d.left < 0 {
		return fmt.Errorf("%w: the limit is %d bytes", ErrTooLarge, d.limits.Memory)
	}
	return nil
}

// room returns an empty slice with space for n attributes, nil when n is 0.
func (d *decoder) room(n int) ([]Attribute, error) {
	if n == 0 {
		return nil, nil
	}
	if err := d.spend(uintptr(n) * unsafe.Sizeof(Attribute{})); err != nil {
		return nil, err
	}
	if n > 64 || d.batch == nil {
		return make([]Attribute, 0, n), nil
	}
	if n > cap(d.attributes)-len(d.attributes) {
		d.attributes = make([]Attribute, 0, 256)
	}
	from := len(d.attributes)
	d.attributes = d.attributes[:from+n]
	return d.attributes[from : from : from+n], nil
}

func (d *decoder) appendAttribute(dst []Attribute, s string) ([]Attribute, error) {
	if len(dst) == cap(dst) { // append is about to double it
		if err := d.spend(uintptr(1+cap(dst)) * unsafe.Sizeof(Attribute{})); err != nil {
			return nil, err
		}
	}
	dst = append(dst, Attribute{})
	if err := d.keyValue(&dst[len(dst)-1], s, 0); err != nil {
		return dst[:len(dst)-1], err
	}
	return dst, nil
}

func (d *decoder) keyValue(a *Attribute, s string, depth int) error {
	for s != "" {
		f, rest, err := nextField(s)
		if err != nil {
			return err
		}
		s = rest
		switch {
		case f.number == 1 && f.typ == wireBytes:
			a.Key = f.s
		case f.number == 2 && f.typ == wireBytes:
			if err := d.value(&a.Value, f.s, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// value decodes an AnyValue. Of several members of the oneof the last holds.
func (d *decoder) value(v *Value, s string, depth int) error {
	for s != "" {
		f, rest, err := nextField(s)
		if err != nil {
			return err
		}
		s = rest
		switch {
		case f.number == 1 && f.typ == wireBytes:
			*v = String(f.s)
		case f.number == 2 && f.typ == wireVarint:
			*v = Bool(f.n != 0)
		case f.number == 3 && f.typ == wireVarint:
			*v = Int(int64(f.n))
		case f.number == 4 && f.typ == wireFixed64:
			*v = Value{typ: TypeFloat, num: f.n}
		case f.number == 5 && f.typ == wireBytes:
			if *v, err = d.list(f.s, depth+1); err != nil {
				return err
			}
		case f.number == 6 && f.typ == wireBytes:
			if *v, err = d.kvs(f.s, depth+1); err != nil {
				return err
			}
		case f.number == 7 && f.typ == wireBytes:
			*v = Bytes(f.s)
		}
	}
	return nil
}

func (d *decoder) list(s string, depth int) (Value, error) {
	if depth > d.limits.Depth {
		return Value{}, tooDeep(d.limits.Depth)
	}
	n := count(s, 1)
	if err := d.spend(uintptr(n+1) * unsafe.Sizeof(Value{})); err != nil {
		return Value{}, err
	}
	values := make([]Value, 0, n)
	err := d.fields(s, func(f field) error {
		if f.number != 1 || f.typ != wireBytes {
			return nil
		}
		values = append(values, Value{})
		return d.value(&values[len(values)-1], f.s, depth)
	})
	return List(values), err
}

func (d *decoder) kvs(s string, depth int) (Value, error) {
	if depth > d.limits.Depth {
		return Value{}, tooDeep(d.limits.Depth)
	}
	n := count(s, 1)
	if err := d.spend(uintptr(n+1) * unsafe.Sizeof(Attribute{})); err != nil {
		return Value{}, err
	}
	attributes := make([]Attribute, 0, n)
	err := d.fields(s, func(f field) error {
		if f.number != 1 || f.typ != wireBytes {
			return nil
		}
		attributes = append(attributes, Attribute{})
		return d.keyValue(&attributes[len(attributes)-1], f.s, depth)
	})
	return Map(attributes), err
}

func tooDeep(limit int) error { return fmt.Errorf("%w: the limit is %d levels", ErrTooDeep, limit) }
