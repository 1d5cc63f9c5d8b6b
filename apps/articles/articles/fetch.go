package articles

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// errGaveUp stands for the calls that were not made.
var errGaveUp = errors.New("not asked: the suggestions service does not answer")

// suggestionsResult is the outcome of the call for one article.
type suggestionsResult struct {
	ids []ArticleID
	err error
}

// fetchAll calls fetch for each id, at most concurrency at a time, and returns the results in the order of ids.
//
// It does not wait out one timeout after the other. A call that timed out while no other call was answered either shows
// that the service hangs, and no more calls are started; with one call at a time it takes two of them, since a single
// one may be the article's. Nor are calls started when ctx has ended.
func fetchAll(
	ctx context.Context, ids []ArticleID, concurrency int, fetch func(context.Context, ArticleID) ([]ArticleID, error),
) []suggestionsResult {
	var (
		results  = make([]suggestionsResult, len(ids))
		workers  = min(concurrency, len(ids))
		next     atomic.Int64
		answered atomic.Int64 // calls that ended otherwise than by a timeout
		silent   atomic.Int64 // timeouts in a row without an answer in their time
		limit    = int64(1)
		wg       sync.WaitGroup
	)
	if workers == 1 {
		limit = 2
	}
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(ids) {
					return
				}
				switch err := ctx.Err(); {
				case err != nil:
					results[i].err = err
					continue
				case silent.Load() >= limit:
					results[i].err = errGaveUp
					continue
				}
				before := answered.Load()
				found, err := fetch(ctx, ids[i])
				results[i] = suggestionsResult{found, err}
				switch {
				case !errors.Is(err, context.DeadlineExceeded):
					answered.Add(1)
					silent.Store(0)
				case answered.Load() == before:
					silent.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return results
}
