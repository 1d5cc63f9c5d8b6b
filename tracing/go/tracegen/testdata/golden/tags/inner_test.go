package tags

import "context"

//go:generate go tool tracegen -iface Inner

type Inner interface {
	Do(ctx context.Context) error
}
