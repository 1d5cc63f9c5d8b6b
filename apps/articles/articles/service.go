package articles

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

//go:generate go tool tracegen -iface Service -fail github.com/throughline/throughline/tracing/go.Fail

// Service shows articles.
type Service interface {
	// GetArticles returns all articles in the data source's order.
	//
	//trace:attr articles.count=len(result0.Articles)
	//trace:attr warnings.count=len(result0.Warnings)
	GetArticles(ctx context.Context, withSuggested bool) (ArticleList, error)
	// GetArticle returns one article, or ErrNotFound.
	//
	//trace:attr article.id=id
	//trace:attr warnings.count=len(result0.Warnings)
	//trace:ignore-error errors.Is(err, ErrNotFound)
	GetArticle(ctx context.Context, id ArticleID, withSuggested bool) (ArticleDetail, error)
}

// NewService returns the service over articles, which it keeps and must not be changed. At most concurrency calls to
// suggestions are under way for a request.
func NewService(articles []Article, suggestions SuggestionsClient, concurrency int, logger *slog.Logger) Service {
	byID := make(map[ArticleID]int, len(articles))
	for i, a := range articles {
		byID[a.ID] = i
	}
	return &service{articles: articles, byID: byID, suggestions: suggestions, concurrency: concurrency, logger: logger}
}

type service struct {
	articles    []Article
	byID        map[ArticleID]int // index in articles
	suggestions SuggestionsClient
	concurrency int
	logger      *slog.Logger
}

func (s *service) GetArticles(ctx context.Context, withSuggested bool) (ArticleList, error) {
	list := ArticleList{Articles: make([]Article, len(s.articles))}
	copy(list.Articles, s.articles)
	if !withSuggested {
		return list, nil
	}
	warnings, err := s.suggest(ctx, list.Articles)
	list.Warnings = warnings
	return list, err
}

func (s *service) GetArticle(ctx context.Context, id ArticleID, withSuggested bool) (ArticleDetail, error) {
	i, ok := s.byID[id]
	if !ok {
		return ArticleDetail{}, ErrNotFound
	}
	one := []Article{s.articles[i]}
	if !withSuggested {
		return ArticleDetail{Article: one[0]}, nil
	}
	warnings, err := s.suggest(ctx, one)
	return ArticleDetail{Article: one[0], Warnings: warnings}, err
}

// suggest fills in the suggested articles where they can be had and returns warnings for the rest. The only errors are
// those of ctx: its cancellation, and its deadline when that passed all the same.
func (s *service) suggest(ctx context.Context, articles []Article) ([]string, error) {
	ids := make([]ArticleID, len(articles))
	for i, a := range articles {
		ids[i] = a.ID
	}
	// What was found by then is still to be written before the request's own deadline.
	fetchCtx := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		fetchCtx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/10))
		defer cancel()
	}
	results := fetchAll(fetchCtx, ids, s.concurrency, s.suggestions.Suggestions)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("getting suggestions: %w", err)
	}

	failed, unknown := 0, 0
	var firstErr error
	for i, r := range results {
		if r.err != nil {
			failed++
			if firstErr == nil {
				firstErr = r.err
			}
			continue
		}
		articles[i].Suggested = make([]Article, 0, len(r.ids))
		for _, id := range r.ids {
			if j, ok := s.byID[id]; ok {
				articles[i].Suggested = append(articles[i].Suggested, s.articles[j])
			} else {
				unknown++
			}
		}
	}
	var warnings []string
	if failed > 0 {
		warnings = append(warnings, fmt.Sprintf("suggestions are unavailable for %d of %d articles", failed, len(articles)))
		s.logger.WarnContext(ctx, "suggestions are unavailable",
			"failed", failed, "articles", len(articles), "first_error", firstErr.Error())
	}
	if unknown > 0 {
		warnings = append(warnings, fmt.Sprintf("%d suggested articles do not exist and were skipped", unknown))
		s.logger.WarnContext(ctx, "suggested articles do not exist", "unknown", unknown)
	}
	return warnings, nil
}
