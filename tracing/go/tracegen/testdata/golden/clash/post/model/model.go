// Package model is a model of posts.
package model

import "errors"

// Post is a post.
type Post struct{ ID int }

// ErrDraft is an error.
var ErrDraft = errors.New("draft")
