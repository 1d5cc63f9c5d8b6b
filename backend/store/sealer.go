package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// segmentName names a segment for the first and the last log whose spans it
// holds, so that a crash leaves no doubt about what is in a segment and what is
// not: see FORMAT.md.
func segmentName(first, last uint64) string { return fmt.Sprintf("%010d-%010d.seg", first, last) }

const (
	tempSuffix    = ".tmp"
	corruptSuffix = ".corrupt"
)

// tick is how often the background work looks at what has become due.
const tick = time.Second

// forgetTicks is how many ticks the tables of a segment are kept without use.
const forgetTicks = 30

// maintain seals, compacts and retires until done.
func (db *DB) maintain(done <-chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var retry time.Time
	ticks := 0
	for {
		select {
		case <-done:
			return
		case <-db.wake:
		case <-ticker.C:
			db.probe()
			db.rotateIdle()
			if ticks++; ticks%forgetTicks == 0 {
				db.mu.Lock()
				for _, s := range db.list {
					s.forget()
				}
				db.mu.Unlock()
			}
		}
		for db.pending() && time.Now().After(retry) {
			if err := db.sealNext(); err != nil {
				db.mu.Lock()
				if db.sealErr == nil {
					db.options.Log.Error("a segment cannot be written: its spans stay in memory and in the log", "error", err)
				}
				db.sealErr = err
				db.tellSealed()
				db.mu.Unlock()
				retry = time.Now().Add(tick)
			}
			select {
			case <-done:
				return
			default:
			}
		}
		db.retire(0)
		select {
		case db.compactWake <- struct{}{}:
		default:
		}
	}
}

func (db *DB) pending() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return len(db.sealing) > 0
}

// rotateIdle seals what nobody has appended to for a while.
func (db *DB) rotateIdle() {
	// Who appends may be waiting for a head to be sealed, which is done here.
	if !db.appending.TryLock() {
		return
	}
	defer db.appending.Unlock()
	now := time.Now()
	db.mu.Lock()
	h := db.head
	due := h.n > 0 && (now.Sub(h.lastAdd) >= db.options.IdleSeal || now.Sub(h.first) >= db.options.MaxHeadAge)
	if db.memory { // sealing gains nothing, but a head cannot be dropped
		r := db.options.Retention
		due = h.n > 0 && r > 0 && db.options.Now().Sub(unixNano(int64(h.row(h.n-1).received))) > r
	}
	db.mu.Unlock()
	if due {
		db.rotate()
	}
}

// sealNext makes a segment of the oldest head that waits for it. The order of
// steps is what makes a crash between any two of them harmless: the segment is
// complete and synced under a temporary name, gets its name, the directory is
// synced, and only then do the logs go.
func (db *DB) sealNext() error {
	db.mu.Lock()
	h := db.sealing[0]
	db.mu.Unlock()
	began := time.Now()
	for _, w := range h.wals {
		w.drain()
	}
	db.mu.Lock()
	live := h.n - h.deadRows
	db.mu.Unlock()

	var s *segment
	if live > 0 {
		first, last := db.logsOf(h)
		name := filepath.Join(db.dir, segmentName(first, last))
		// The older segments are read for the traces that they have a part of.
		err := db.query(func(r *reading) (err error) {
			s, err = db.writeSegment(name, first, last, func(f File) error {
				return r.attempt(func(*reading) error { return sealHead(r, h, f) })
			})
			return err
		})
		if err != nil {
			return err
		}
		db.duplicates.Add(s.foot.rows - s.foot.newSpans)
	}
	db.mu.Lock()
	if s != nil {
		db.list = append(db.list, s)
		db.counters.sealed.Add(1)
	}
	db.sealing = slices.Clone(db.sealing[1:]) // the old array would keep the head
	db.sealErr = nil
	db.duplicates.Add(h.duplicates)
	db.tellSealed()
	db.mu.Unlock()
	db.counters.sealNanos.Add(uint64(time.Since(began)))
	var errs []error
	for _, w := range h.wals {
		errs = append(errs, db.removeWAL(w))
	}
	if err := errors.Join(errs...); err != nil {
		db.options.Log.Warn("removing a log whose spans are in a segment", "error", err)
	}
	return nil
}

// tellSealed wakes those who wait for a head to be sealed; mu must be held.
func (db *DB) tellSealed() {
	close(db.sealed)
	db.sealed = make(chan struct{})
}

// logsOf returns the range of logs that a head's segment is named for.
func (db *DB) logsOf(h *head) (first, last uint64) {
	if len(h.wals) == 0 { // in memory, where nobody else counts logs
		db.nextWAL++
		return db.nextWAL - 1, db.nextWAL - 1
	}
	return h.wals[0].number, h.wals[len(h.wals)-1].number
}

func (db *DB) removeWAL(w *wal) error {
	err := w.close()
	if w.damaged {
		return errors.Join(err, db.fs.Rename(w.name, w.name+corruptSuffix))
	}
	return errors.Join(err, db.fs.Remove(w.name))
}

// writeSegment makes a segment file durable under its name and opens it.
func (db *DB) writeSegment(name string, first, last uint64, write func(File) error) (s *segment, err error) {
	temp := name + tempSuffix
	f, err := db.fs.Create(temp)
	if errors.Is(err, os.ErrExist) {
		if err = db.fs.Remove(temp); err == nil {
			f, err = db.fs.Create(temp)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("creating segment: %w", err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("writing segment %q: %w", temp, err), db.fs.Remove(temp))
	}
	if err := db.fs.Rename(temp, name); err != nil {
		return nil, errors.Join(fmt.Errorf("naming segment: %w", err), db.fs.Remove(temp))
	}
	if err := db.fs.SyncDir(db.dir); err != nil {
		return nil, fmt.Errorf("syncing directory %q: %w", db.dir, err)
	}
	return db.openFile(name, first, last)
}

// openFile maps and opens a segment file.
func (db *DB) openFile(name string, first, last uint64) (*segment, error) {
	f, err := db.fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening segment: %w", err)
	}
	defer f.Close()
	data, unmap, err := f.Map()
	if err != nil {
		return nil, fmt.Errorf("mapping segment %q: %w", name, err)
	}
	s, err := openSegment(name, data, unmap)
	if err != nil {
		return nil, errors.Join(err, unmap())
	}
	s.first, s.last = first, last
	return s, nil
}

// Evicted says what had to go.
type Evicted struct {
	Traces, Spans uint64
	Bytes         uint64
	Last          time.Time // of the last eviction, zero while there was none
	// OldestKept is when the oldest span that is still held was received, as of
	// then; zero when none is.
	OldestKept time.Time
}

// memoryReserve is the share of a store in memory that is left for what sealing
// and merging take while they are at it.
const memoryReserve = 16

// retire drops the oldest segments while they are too old, or too many with more
// bytes to come.
func (db *DB) retire(more int64) {
	var gone []*segment
	var reason string
	now := db.options.Now()
	db.mu.Lock()
	total, most := db.bytes()+more, db.options.MaxBytes
	if db.memory {
		most -= most / memoryReserve
	}
	for len(db.list) > 0 {
		at := 0
		for i, s := range db.list {
			if s.foot.maxReceived < db.list[at].foot.maxReceived {
				at = i
			}
		}
		s := db.list[at]
		switch {
		case db.options.Retention > 0 && int64(s.foot.maxReceived) < now.Add(-db.options.Retention).UnixNano():
			reason = "older than the retention"
		case db.options.MaxBytes > 0 && total > most:
			reason = "over the limit of bytes"
		default:
			reason = ""
		}
		if reason == "" {
			break
		}
		total -= db.sizeOf(s)
		gone = append(gone, s)
		db.list = slices.Delete(slices.Clone(db.list), at, at+1)
		e := &db.evicted
		e.Traces += s.foot.newTraces
		e.Spans += s.foot.newSpans
		e.Bytes += uint64(s.size)
		e.Last = now
		db.unsaid.add(s, reason)
	}
	if len(gone) > 0 {
		db.evicted.OldestKept = db.oldest()
	}
	db.unsaid.say(db.options.Log, db.evicted.OldestKept)
	db.mu.Unlock()
	for _, s := range gone {
		db.discard(s)
	}
}

// dropped is what retention took away and the log does not say yet.
type dropped struct {
	segments         int
	spans, bytes     uint64
	reason           string
	received, latest uint64
	said             time.Time
}

func (d *dropped) add(s *segment, reason string) {
	if d.segments == 0 || s.foot.minReceived < d.received {
		d.received = s.foot.minReceived
	}
	d.segments++
	d.spans += s.foot.newSpans
	d.bytes += uint64(s.size)
	d.latest = max(d.latest, s.foot.maxReceived)
	d.reason = reason
}

// dropEvery is the least time between two lines about retention.
const dropEvery = time.Minute

// say logs what was dropped, at most once in a while.
func (d *dropped) say(log *slog.Logger, kept time.Time) {
	if d.segments == 0 || !d.said.IsZero() && time.Since(d.said) < dropEvery {
		return
	}
	d.sayNow(log, kept)
}

func (d *dropped) sayNow(log *slog.Logger, kept time.Time) {
	if d.segments == 0 {
		return
	}
	log.Info("the oldest spans were dropped: "+d.reason, "segments", d.segments, "spans", d.spans, "bytes", d.bytes,
		"received_from", unixNano(int64(d.received)).UTC(), "received_to", unixNano(int64(d.latest)).UTC(), "oldest_kept", kept.UTC())
	*d = dropped{said: time.Now()}
}

// oldest is when the oldest span was received; mu must be held.
func (db *DB) oldest() time.Time {
	oldest := uint64(0)
	for _, s := range db.list {
		if oldest == 0 || s.foot.minReceived < oldest {
			oldest = s.foot.minReceived
		}
	}
	for _, h := range append(slices.Clone(db.sealing), db.head) {
		if oldest == 0 && h.n > 0 {
			oldest = h.row(0).received
		}
	}
	return unixNano(int64(oldest))
}

// bytes is what the store takes on disk, or in memory; mu must be held.
func (db *DB) bytes() int64 {
	total := int64(0)
	for _, s := range db.list {
		total += db.sizeOf(s)
	}
	for _, h := range append(slices.Clone(db.sealing), db.head) {
		if db.memory {
			total += h.bytes
		}
		for _, w := range h.wals {
			total += w.size()
		}
	}
	return total
}

// sizeOf is what a segment takes on disk, or in memory.
func (db *DB) sizeOf(s *segment) int64 {
	if !db.memory {
		return s.size
	}
	return s.size + s.foot.size() + s.tables.Load().memory()
}

// discard removes a segment that is no part of the store any more. Those who read
// it may go on.
func (db *DB) discard(s *segment) {
	if err := errors.Join(db.fs.Remove(s.name), s.release()); err != nil {
		db.options.Log.Warn("removing a segment", "segment", s.name, "error", err)
	}
}

// syncEvery syncs logs whose appends do not wait for it.
func (db *DB) syncEvery(interval time.Duration, done <-chan struct{}) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		db.mu.Lock()
		var wals []*wal
		for _, h := range append(slices.Clone(db.sealing), db.head) {
			wals = append(wals, h.wals...)
		}
		db.mu.Unlock()
		for _, w := range wals {
			if err := w.flush(); err != nil {
				db.mu.Lock()
				db.failed(err)
				db.mu.Unlock()
				db.rescue(w)
			}
		}
	}
}

// rescue begins to make a segment of the head whose log cannot be synced, which
// makes durable what was acknowledged.
func (db *DB) rescue(w *wal) {
	db.appending.Lock()
	defer db.appending.Unlock()
	db.mu.Lock()
	current := slices.Contains(db.head.wals, w)
	db.mu.Unlock()
	if current {
		db.rotate()
	}
}

func unixNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
