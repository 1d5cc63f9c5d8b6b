// Package wrapped wraps what it constructs.
package wrapped

import (
	"context"

	"example.com/shop/untracedservice/articles"
)

func Run(ctx context.Context, serve func(articles.Service) error) error {
	return serve(articles.TraceService(articles.NewService(articles.NewMemory())))
}
