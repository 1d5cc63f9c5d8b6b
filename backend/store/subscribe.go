package store

import (
	"sync"

	"github.com/throughline/throughline/backend/span"
)

// Subscription tells which traces have changed. It never holds an append up: a
// reader that is slow finds changes merged, and one that is too slow finds that
// some were left out.
type Subscription struct {
	// C is ready when there is something to take, and closed with the store or
	// the subscription.
	C <-chan struct{}

	c      chan struct{}
	close  func()
	mu     sync.Mutex
	ids    []span.TraceID
	have   map[span.TraceID]struct{}
	lagged bool
	closed bool
}

// maxPending bounds the traces that a subscription remembers between two takes.
const maxPending = 10_000

// Take returns the traces that were appended to since the last time, in order of
// their first change. When lagged, there were more.
func (s *Subscription) Take() (ids []span.TraceID, lagged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, lagged = s.ids, s.lagged
	s.ids, s.lagged = nil, false
	clear(s.have)
	return ids, lagged
}

// Close ends the subscription.
func (s *Subscription) Close() { s.close() }

func (s *Subscription) add(ids []span.TraceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for _, id := range ids {
		if _, ok := s.have[id]; ok {
			continue
		}
		if len(s.ids) == maxPending {
			s.lagged = true
			break
		}
		s.ids = append(s.ids, id)
		s.have[id] = struct{}{}
	}
	select {
	case s.c <- struct{}{}:
	default:
	}
}

func (s *Subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.c)
	}
}

// Subscribe begins to collect the traces that Append changes from now on.
func (db *DB) Subscribe() *Subscription {
	c := make(chan struct{}, 1)
	s := &Subscription{C: c, c: c, have: map[span.TraceID]struct{}{}}
	s.close = func() {
		db.subscribers.remove(s)
		s.end()
	}
	db.subscribers.add(s)
	return s
}

type subscribers struct {
	mu     sync.RWMutex
	all    map[*Subscription]struct{}
	closed bool
}

func (l *subscribers) add(s *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		s.end()
		return
	}
	if l.all == nil {
		l.all = map[*Subscription]struct{}{}
	}
	l.all[s] = struct{}{}
}

func (l *subscribers) remove(s *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, s)
}

func (l *subscribers) any() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.all) > 0
}

func (l *subscribers) notify(ids []span.TraceID) {
	if len(ids) == 0 {
		return
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for s := range l.all {
		s.add(ids)
	}
}

func (l *subscribers) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for s := range l.all {
		s.end()
	}
	clear(l.all)
}
