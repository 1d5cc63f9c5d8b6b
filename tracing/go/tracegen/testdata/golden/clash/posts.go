package clash

import (
	"context"
	e "errors"

	. "github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/clash/post/model"
)

// errNone uses the other name of errors.
var errNone = e.New("none")

// Posts has the other model, by a dot import.
type Posts interface {
	//trace:attr post=p.ID
	//trace:attr zero=p == Post{}
	//trace:ignore-error e.Is(err, ErrDraft) || err == errNone
	Publish(ctx context.Context, p Post, errors []error) error
}
