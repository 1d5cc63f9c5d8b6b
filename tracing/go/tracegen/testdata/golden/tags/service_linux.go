//go:build amd64 || arm64 || !cgo

package tags

import "context"

//go:generate go tool tracegen -iface Service

// Service exists on Linux.
type Service interface {
	Do(ctx context.Context) error
}
