//go:build integration

package tags

import "context"

//go:generate go tool tracegen -iface Tagged -tags integration

// Tagged exists in integration tests.
type Tagged interface {
	Do(ctx context.Context) error
}
