// Package clash imports packages of the same name, under the same name in
// different files.
package clash

import (
	"context"

	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/clash/trace"
	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/clash/user/model"
)

//go:generate go tool tracegen -iface Service

// Service uses both models.
type Service interface {
	//trace:attr id=id
	//trace:attr valid=trace.Valid(id)
	//trace:attr user=result0.ID
	User(ctx context.Context, id trace.ID) (model.User, error)
	Posts
}
