// Package basic has a service with every directive.
package basic

import (
	"context"
	"errors"
	"fmt"
)

// ArticleID identifies an article.
type ArticleID string

// Article is what the service serves.
type Article struct {
	ID     ArticleID
	Title  string
	Author *Author
}

// Author wrote an article.
type Author struct{ Name string }

// ErrNotFound is no failure.
var ErrNotFound = errors.New("article not found")

// LimitError says how many articles there may be.
type LimitError struct{ Limit int }

func (e *LimitError) Error() string { return fmt.Sprintf("more than %d articles", e.Limit) }

func expected(err error) bool {
	var limit *LimitError
	return errors.As(err, &limit)
}

//go:generate go tool tracegen -iface Service

// Service serves articles.
type Service interface {
	// GetArticles returns all articles.
	//
	//trace:attr n=len(result0)
	GetArticles(ctx context.Context) ([]Article, error)

	// GetArticle returns one article.
	//
	//trace:attr article.id=id
	//trace:attr article.title=article.Title
	//trace:attr article.author=article.Author.Name
	//trace:ignore-error errors.Is(err, ErrNotFound)
	GetArticle(ctx context.Context, id ArticleID) (article Article, err error)

	// PutArticle stores an article.
	//
	//trace:name put article
	//trace:kind client
	//trace:attr article.id=a.ID
	//trace:attr article.short=len(a.Title) < 10
	//trace:attr article.author=a.Author.Name
	//trace:attr db.system="memory"
	//trace:ignore-error errors.Is(err, context.Canceled)
	//trace:ignore-error expected(err)
	PutArticle(ctx context.Context, a *Article) error

	//trace:kind client
	Ping(context.Context)

	//trace:skip
	Healthy(ctx context.Context) bool

	//trace:skip
	Close() error
}
