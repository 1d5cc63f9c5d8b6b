package tags_test

import (
	"context"

	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/tags"
)

//go:generate go tool tracegen -iface Outer

type Outer interface {
	Do(ctx context.Context, s tags.Inner) error
}
