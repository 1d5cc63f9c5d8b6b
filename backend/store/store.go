package store

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// ErrClosed is returned by Append after Close.
var ErrClosed = errors.New("store is closed")

// ErrNotFound is returned for a trace of which no span is held.
var ErrNotFound = errors.New("trace not found")

// DefaultMaxBytes bounds a store in memory that is not told otherwise.
const DefaultMaxBytes = 256 << 20

// MinMemory is the least bound of a store in memory; a lower one is taken as this.
const MinMemory = 1 << 20

// minHeadBytes is what a head takes before it has many spans.
const minHeadBytes = 128 << 10

// Options are the settings of a [DB].
type Options struct {
	// MaxBytes bounds what is held, on disk or in memory; the oldest segments go
	// when it is more. 0 means DefaultMaxBytes in memory, and no bound on disk.
	MaxBytes int64
	// Retention is how long a segment stays after it received its last span; 0
	// means for as long as there is room.
	Retention time.Duration
	// Durability says when an append on disk is acknowledged; the zero value
	// leaves syncing to the operating system.
	Durability Durability
	// HeadSpans and HeadBytes are the size at which a head becomes a segment;
	// 0 means 200,000 spans and 40 MiB.
	HeadSpans int
	HeadBytes int64
	// IdleSeal is how long after its last append, and MaxHeadAge how long after
	// its first, a head becomes a segment all the same; 0 means 5 s and 10 min.
	IdleSeal, MaxHeadAge time.Duration
	// Limits bound the decoding of one request.
	Limits span.Limits
	// FS is the file system; nil means OS.
	FS FS
	// Log is told what was recovered, set aside and dropped; nil means slog.Default.
	Log *slog.Logger
	// Now is the clock that spans are received by; nil means time.Now.
	Now func() time.Time
}

func (o Options) orDefault() Options {
	if o.HeadSpans <= 0 {
		o.HeadSpans = 200_000
	}
	if o.HeadBytes <= 0 {
		o.HeadBytes = 40 << 20
	}
	if o.IdleSeal <= 0 {
		o.IdleSeal = 5 * time.Second
	}
	if o.MaxHeadAge <= 0 {
		o.MaxHeadAge = 10 * time.Minute
	}
	if o.FS == nil {
		o.FS = OS{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// DB is a store. Make it with Open or New and end it with Close.
type DB struct {
	options Options
	fs      FS
	dir     string
	memory  bool // nothing is logged
	lock    io.Closer

	// appending is held by who appends, makes a log or begins a new head. It is
	// taken before mu, and before the lock of a log's leader.
	appending sync.Mutex
	stream    span.Stream
	nextWAL   uint64
	retryAt   atomic.Int64 // unix nanoseconds: no new log before it, after one has failed

	mu      sync.Mutex // guards everything down to the blank line, and the insides of heads
	head    *head
	sealing []*head // full ones, oldest first
	sealed  chan struct{}
	list    []*segment // by the logs they hold
	closed  bool
	evicted Evicted
	unsaid  dropped
	lastErr error // of the last write to a log, nil when it went well
	sealErr error // of the last sealing, nil when it went well

	duplicates atomic.Uint64 // of heads that are sealed
	counters   counters

	overlaps    overlaps // of what is held
	subscribers subscribers
	wake        chan struct{} // tells the sealer
	compactWake chan struct{} // tells the compactor
	stop        func() error
}

// counters are of things that happened since the store was opened.
type counters struct {
	appends, refused, walBytes, fsyncs  atomic.Uint64
	sealed, compacted, corrupt, walLost atomic.Uint64
	recoveredRecords, recoveredSpans    atomic.Uint64
	sealNanos, compactNanos             atomic.Uint64
}

// New makes an empty store in memory, which is gone when the process ends.
func New(options Options) *DB {
	options = options.orDefault()
	if options.MaxBytes <= 0 {
		options.MaxBytes = DefaultMaxBytes
	}
	options.MaxBytes = max(options.MaxBytes, MinMemory)
	// A segment is what goes at once when there is no more room.
	options.HeadBytes = min(options.HeadBytes, max(options.MaxBytes/32, min(options.MaxBytes/16, 1<<20), minHeadBytes))
	db := newDB("", options)
	db.fs, db.memory = newMemory(), true
	db.start()
	return db
}

func newDB(dir string, options Options) *DB {
	db := &DB{
		options: options, fs: options.FS, dir: dir, nextWAL: 1,
		head: newHead(), sealed: make(chan struct{}), wake: make(chan struct{}, 1),
		compactWake: make(chan struct{}, 1),
	}
	db.stream.Limits = options.Limits
	return db
}

// start begins the background work.
func (db *DB) start() {
	done := make(chan struct{})
	var background sync.WaitGroup
	background.Go(func() { db.maintain(done) })
	background.Go(func() { db.compactor(done) })
	if d := db.options.Durability; !db.memory && !d.Sync && d.Interval > 0 {
		background.Go(func() { db.syncEvery(d.Interval, done) })
	}
	db.stop = sync.OnceValue(func() error {
		close(done)
		background.Wait()
		return db.shut()
	})
}

// Close seals what is in memory and ends the store's background work and
// subscriptions; Append then returns ErrClosed.
func (db *DB) Close() error {
	db.appending.Lock()
	db.mu.Lock()
	db.closed = true
	db.mu.Unlock()
	db.appending.Unlock()
	err := db.stop()
	db.subscribers.close()
	return err
}

// shut seals and closes, after the background work has ended.
func (db *DB) shut() error {
	var errs []error
	db.mu.Lock()
	db.unsaid.sayNow(db.options.Log, db.evicted.OldestKept)
	db.mu.Unlock()
	if !db.memory {
		db.appending.Lock()
		db.rotate()
		db.appending.Unlock()
		for db.pending() {
			if err := db.sealNext(); err != nil {
				errs = append(errs, err) // the log has it
				break
			}
		}
		db.mu.Lock()
		heads := append([]*head{db.head}, db.sealing...)
		db.mu.Unlock()
		for _, h := range heads {
			for _, w := range h.wals {
				errs = append(errs, w.close())
			}
		}
		if db.lock != nil {
			errs = append(errs, db.lock.Close())
		}
	}
	return errors.Join(errs...)
}
