package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Append stores the spans of a batch that was validated; see AppendRequest, which
// costs less. Spans that are not taken are counted in batch.Rejected; an error is
// about the whole batch. It keeps nothing of the batch.
func (db *DB) Append(ctx context.Context, batch *span.Batch) error {
	if len(batch.Spans) == 0 {
		return nil
	}
	_, rejected, err := db.append(ctx, string(span.EncodeProto(batch.Spans)), span.Limits{Depth: replayLimits.Depth, Memory: replayLimits.Memory})
	if err == nil {
		batch.Rejected.Merge(&rejected)
	}
	return err
}

// AppendRequest stores the spans of an ExportTraceServiceRequest as it was
// received, except those that [span.Batch.Validate] rejects. When it returns nil,
// the accepted spans are as durable as the options ask for, and found by every
// read that begins afterwards. An error is about the whole request: it wraps
// ErrUnavailable when the store cannot write now, ErrClosed, or what is wrong with
// the request. It keeps nothing of the request.
func (db *DB) AppendRequest(ctx context.Context, request string) (accepted int, rejected span.Rejected, err error) {
	return db.append(ctx, request, db.options.Limits)
}

// replayLimits are for what was accepted before.
var replayLimits = span.Limits{Depth: 10_000, Memory: math.MaxInt / 2}

// maxRequest is less than the longest string that a head can hold.
const maxRequest = maxText

func (db *DB) append(ctx context.Context, request string, limits span.Limits) (accepted int, rejected span.Rejected, err error) {
	most := int64(maxRequest)
	if db.memory {
		most = min(most, db.options.MaxBytes/4)
	}
	if int64(len(request)) > most {
		return 0, rejected, fmt.Errorf("%w: %d bytes, the most is %d", span.ErrTooLarge, len(request), most)
	}
	db.appending.Lock()
	unlock := db.appending.Unlock
	defer func() {
		if unlock != nil {
			unlock()
		}
	}()
	w, err := db.writable(ctx)
	if err != nil {
		if !errors.Is(err, ErrClosed) && ctx.Err() == nil {
			db.counters.refused.Add(1)
		}
		return 0, rejected, err
	}
	if db.memory { // a head takes about as much as the requests
		db.retire(2 * int64(len(request)))
	}
	h := db.head
	now := db.options.Now().UnixNano()

	db.mu.Lock()
	from, duplicates := h.n, h.duplicates
	h.received, h.limits = uint64(now), limits
	db.stream.Limits = limits
	rejected, err = db.stream.Decode(request, uint64(now), h)
	to := h.n
	h.bytes = h.size()
	if err != nil {
		h.kill(from, to)
		db.mu.Unlock()
		return 0, rejected, err
	}
	accepted = to - from + int(h.duplicates-duplicates)
	if to > from {
		h.touch(time.Now())
	}
	var changed []span.TraceID
	if to > from && db.subscribers.any() {
		changed = h.tracesOf(from, to)
	}
	if w == nil {
		h.commit(to)
	}
	full := h.n >= db.options.HeadSpans || h.bytes >= db.options.HeadBytes
	db.mu.Unlock()

	var c *commit
	if w != nil && to > from {
		c = &commit{request: request, received: uint64(now), settle: func(err error) { db.settle(h, from, to, err) }}
		w.enqueue(c)
	}
	if full {
		db.rotate()
	}
	db.appending.Unlock()
	unlock = nil

	db.counters.appends.Add(1)
	if c != nil {
		if err := w.wait(c); err != nil {
			db.counters.refused.Add(1)
			return 0, span.Rejected{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		db.counters.walBytes.Add(uint64(len(request) + recordHeader))
	}
	db.subscribers.notify(changed)
	return accepted, rejected, nil
}

// settle makes rows visible, or takes them back.
func (db *DB) settle(h *head, from, to int, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err != nil {
		h.kill(from, to)
		db.failed(err)
	} else if db.lastErr != nil {
		db.wellAgain()
	}
	h.commit(to)
}

// failed remembers and logs that a log cannot be written; mu must be held.
func (db *DB) failed(err error) {
	db.retryAt.Store(time.Now().Add(writeRetry).UnixNano())
	if db.lastErr == nil {
		db.options.Log.Error("the store cannot write: spans are refused until it can", "error", err)
	}
	db.lastErr = err
}

func (h *head) commit(to int) {
	if int64(to) > h.committed.Load() {
		h.committed.Store(int64(to))
	}
}

// touch notes when the head was appended to.
func (h *head) touch(now time.Time) {
	if h.first.IsZero() {
		h.first = now
	}
	h.lastAdd = now
}

// tracesOf lists the traces of rows, each once.
func (h *head) tracesOf(from, to int) []span.TraceID {
	numbers := make([]uint32, 0, to-from)
	for i := from; i < to; i++ {
		numbers = append(numbers, h.row(i).trace)
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	ids := make([]span.TraceID, len(numbers))
	for i, n := range numbers {
		ids[i] = h.traces.ids[n]
	}
	return ids
}

const (
	maxSealing = 2                      // heads that wait to be sealed
	sealWait   = 10 * time.Second       // how long an append waits for one of them
	writeRetry = 500 * time.Millisecond // between attempts to make a log
)

// writable returns the log to append to, nil when there is none; appending must
// be held. It waits while sealing is behind.
func (db *DB) writable(ctx context.Context) (*wal, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var timeout <-chan time.Time
	for {
		db.mu.Lock()
		closed, behind, sealed, last := db.closed, len(db.sealing) >= maxSealing, db.sealed, db.sealErr
		db.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		if !behind {
			break
		}
		if last != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, last)
		}
		if timeout == nil {
			timer := time.NewTimer(sealWait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-sealed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout:
			return nil, fmt.Errorf("%w: segments are not written as fast as spans arrive", ErrUnavailable)
		}
	}
	if db.memory {
		return nil, nil
	}
	h := db.head
	if n := len(h.wals); n > 0 {
		w := h.wals[n-1]
		if w.file != nil && !w.failed.Load() {
			return w, nil
		}
		if w.failed.Load() {
			w.drain() // its queue fails before the next log's succeeds
			db.dropEmpty(h)
		}
	}
	if time.Now().UnixNano() < db.retryAt.Load() {
		db.mu.Lock()
		defer db.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, db.lastErr)
	}
	w, err := createWAL(db.fs, db.dir, db.nextWAL, db.options.Durability)
	if err != nil {
		db.mu.Lock()
		defer db.mu.Unlock()
		db.failed(err)
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	w.fsyncs = &db.counters.fsyncs
	db.nextWAL++
	db.mu.Lock()
	h.wals = append(h.wals, w)
	db.mu.Unlock()
	return w, nil
}

// dropEmpty removes the last log of a head when it failed before anything in it was
// acknowledged, so that attempts on a full disk do not leave logs behind.
func (db *DB) dropEmpty(h *head) {
	last := len(h.wals) - 1
	w := h.wals[last]
	w.leader.Lock()
	kept := w.acknowledged()
	w.leader.Unlock()
	if kept > walHeader {
		return
	}
	if err := errors.Join(w.close(), db.fs.Remove(w.name)); err != nil {
		return // it goes with the head
	}
	db.mu.Lock()
	h.wals = slices.Clone(h.wals[:last])
	db.mu.Unlock()
}

// rotate makes the head one that waits to be sealed, unless it is empty; appending
// must be held.
func (db *DB) rotate() {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.head.n == 0 && len(db.head.wals) == 0 {
		return
	}
	db.sealing = append(db.sealing, db.head)
	db.head = newHead()
	select {
	case db.wake <- struct{}{}:
	default:
	}
}
