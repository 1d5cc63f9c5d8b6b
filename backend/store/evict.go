package store

import (
	"sync"
	"time"
)

// Evicted says what had to go.
type Evicted struct {
	Traces, Spans uint64
	Last          time.Time // of the last eviction, zero while there was none
}

// Stats is the state of a store.
type Stats struct {
	Traces, Spans  int
	Bytes          int64 // accounted for
	MaxBytes       int64
	DuplicateSpans uint64 // received under the id of one that was held
	Evicted        Evicted
	OldestReceived time.Time // when the trace that goes next got its last span, zero when empty
}

// Stats returns the present figures.
func (db *DB) Stats() Stats {
	db.mu.RLock()
	defer db.mu.RUnlock()
	s := Stats{
		Traces: len(db.traces), Spans: db.spans,
		Bytes: db.bytes, MaxBytes: db.options.MaxBytes,
		DuplicateSpans: db.duplicates, Evicted: db.evicted,
	}
	if db.oldest != nil {
		s.OldestReceived = unixNano(db.oldest.received)
	}
	return s
}

// evict removes the traces that have waited longest, until the rest fits.
func (db *DB) evict() {
	for db.bytes > db.options.MaxBytes && db.oldest != nil {
		db.drop(db.oldest)
	}
}

// expire removes the traces whose last span is older than the retention.
func (db *DB) expire() {
	if db.options.Retention <= 0 {
		return
	}
	limit := db.options.Now().Add(-db.options.Retention).UnixNano()
	for more := true; more; {
		db.mu.Lock()
		more = false
		for range maxGroup {
			if more = db.oldest != nil && db.oldest.received < limit; !more {
				break
			}
			db.drop(db.oldest)
		}
		db.mu.Unlock()
	}
}

func (db *DB) drop(t *trace) {
	db.unlink(t)
	db.release(t)
	delete(db.traces, t.id)
	db.bytes -= t.size
	db.spans -= len(t.entries)
	db.evicted.Traces++
	db.evicted.Spans += uint64(len(t.entries))
	db.evicted.Last = db.options.Now()
}

// maintain expires traces and tells what was evicted since nobody appended.
func (db *DB) maintain(done <-chan struct{}) {
	every := 10 * time.Second
	if r := db.options.Retention; r > 0 {
		every = min(every, max(r/10, 10*time.Millisecond))
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			db.expire()
			db.announce()
		}
	}
}

// announceEvery is the least time between two log lines about evictions.
const announceEvery = time.Minute

type announcer struct {
	mu   sync.Mutex
	said Evicted
	at   time.Time
}

// announce logs what was evicted since the last time it did.
func (db *DB) announce() {
	stats := db.Stats()
	a := &db.announcer
	a.mu.Lock()
	defer a.mu.Unlock()
	if stats.Evicted.Traces == a.said.Traces || !a.at.IsZero() && db.options.Now().Sub(a.at) < announceEvery {
		return
	}
	db.options.Log.Warn("old traces were evicted: the store is full or they are older than the retention",
		"traces", stats.Evicted.Traces-a.said.Traces, "spans", stats.Evicted.Spans-a.said.Spans,
		"held_spans", stats.Spans, "held_bytes", stats.Bytes, "max_bytes", stats.MaxBytes,
		"retention", db.options.Retention)
	a.said, a.at = stats.Evicted, db.options.Now()
}
