// Package generic has generic interfaces, embedded and instantiated ones.
package generic

import (
	"cmp"
	"context"
	"fmt"
)

//go:generate go tool tracegen -iface Repository,Pair,Hidden,Users,List,Odd -out trace_gen.go

// Repository stores values by key.
//
//trace:name repo
type Repository[K comparable, V any] interface {
	//trace:attr key=fmt.Sprint(key)
	Get(ctx context.Context, key K) (value V, err error)
	//trace:attr n=len(values)
	Put(ctx context.Context, values map[K]V) error
	Keys(ctx context.Context) []K
}

// Entity has an id.
type Entity[ID fmt.Stringer] interface {
	~struct{ N int } | ~struct{ S string }
	Key() ID
}

// Pair has parameters that depend on each other.
type Pair[S ~[]E, E cmp.Ordered, N interface{ ~int | ~string }, P interface{ *N }] interface {
	//trace:attr n=len(s)
	Sum(ctx context.Context, s S, of ...E) (P, error)
}

// Item is what Hidden's parameter is called too.
type Item struct{ N int }

// Items returns Item, the struct.
type Items interface {
	First(ctx context.Context) Item
}

// Hidden has a type parameter that hides a type of the package, and one that
// has the name of an import.
type Hidden[Item any, context2 fmt.Stringer, trace comparable, t any] interface {
	Items
	//trace:attr at=at
	Put(ctx context.Context, item Item, at context2, by trace, t t) error
}

// User is an entity.
type User struct {
	ID   string
	Name string
}

// Users is an instantiation with a method of its own.
type Users interface {
	Repository[string, *User]
	//trace:attr name=result0.Name
	ByName(ctx context.Context, name string) (*User, error)
}

// List is a generic alias.
type List[T any] = Repository[int, []T]

// Odd has constraints that are hard to write down.
type Odd[P *int, _ any, Q interface{ fmt.Stringer }] interface {
	Do(ctx context.Context, p P, q Q) error
}
