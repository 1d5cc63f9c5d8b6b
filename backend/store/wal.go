package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// The write-ahead log of a head: the requests as they were received, each in a
// record with its length and checksum. FORMAT.md has the bytes.

const (
	walMagic      = "TLWAL\x00\x00\x00"
	walHeader     = 24 // magic 8, version 4, number 8, checksum 4
	recordMagic   = 0x52444c54
	recordHeader  = 24 // magic 4, length 4, checksum 4, kind 4, received 8
	recordRequest = 1  // kind: an ExportTraceServiceRequest

	// What is reserved ahead of the writes grows from the first to the second.
	minReserve, maxReserve = 1 << 20, 32 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Durability says when an append is acknowledged.
type Durability struct {
	// Sync: only after its record has reached the disk.
	Sync bool
	// Interval, without Sync: at once, and the log reaches the disk at least so
	// often; 0 leaves it to the operating system. An acknowledged span survives
	// the end of the process in either case, but not the loss of power.
	Interval time.Duration
}

// wal is one file of the log. Many append to it at once: each puts its record in
// the queue, and who gets the leader's lock writes all that are queued and syncs
// them with one call.
type wal struct {
	fs     FS
	name   string
	number uint64
	sync   bool

	leader   sync.Mutex // guards what follows, while a group is written
	file     File
	written  int64
	synced   int64
	reserved int64
	err      error // the file is not trusted any more; failed says so without the lock

	failed  atomic.Bool    // err is set
	fsyncs  *atomic.Uint64 // counts, unless it is nil
	damaged bool           // it was read, and part of it could not be

	mu    sync.Mutex
	queue []*commit
	bytes int64 // of all records, queued ones too
}

// commit is one append on its way to the disk.
type commit struct {
	request  string
	received uint64
	settle   func(error) // told the outcome, in the order of the log
	done     bool        // guarded by wal.leader, as err
	err      error
}

func walName(number uint64) string { return fmt.Sprintf("%010d.wal", number) }

// createWAL makes the file and its entry in the directory durable.
func createWAL(fs FS, dir string, number uint64, d Durability) (*wal, error) {
	w := &wal{fs: fs, name: filepath.Join(dir, walName(number)), number: number, sync: d.Sync}
	f, err := fs.Create(w.name)
	if err != nil {
		return nil, fmt.Errorf("creating log: %w", err)
	}
	w.file = f
	header := binary.LittleEndian.AppendUint32([]byte(walMagic), formatVersion)
	header = binary.LittleEndian.AppendUint64(header, number)
	header = binary.LittleEndian.AppendUint32(header, crc32.Checksum(header, castagnoli))
	if _, err = f.Write(header); err == nil {
		if err = f.Sync(); err == nil {
			err = fs.SyncDir(dir)
		}
	}
	if err != nil {
		err = fmt.Errorf("creating log %q: %w", w.name, err)
		return nil, errors.Join(err, f.Close(), fs.Remove(w.name))
	}
	w.written, w.synced = walHeader, walHeader
	return w, nil
}

// enqueue appends a record to the log's queue; the request must not change until
// wait returns.
func (w *wal) enqueue(c *commit) {
	w.mu.Lock()
	w.queue = append(w.queue, c)
	w.bytes += recordHeader + int64(len(c.request))
	w.mu.Unlock()
}

// wait returns when the record is as durable as was asked for.
func (w *wal) wait(c *commit) error {
	w.leader.Lock()
	defer w.leader.Unlock()
	if !c.done {
		w.write()
	}
	return c.err
}

// drain writes what is queued.
func (w *wal) drain() {
	w.leader.Lock()
	w.write()
	w.leader.Unlock()
}

// write writes the queue as one group; the leader's lock must be held.
func (w *wal) write() {
	w.mu.Lock()
	group := w.queue
	w.queue = nil
	w.mu.Unlock()
	if len(group) == 0 {
		return
	}
	if w.err == nil {
		w.err = w.writeGroup(group)
		w.failed.Store(w.err != nil)
	}
	for _, c := range group {
		c.err = w.err
		c.settle(c.err)
		c.done = true
		c.request = ""
	}
}

func (w *wal) writeGroup(group []*commit) error {
	size := w.written
	for _, c := range group {
		size += recordHeader + int64(len(c.request))
	}
	if w.sync && size > w.reserved {
		w.reserved = size + min(max(size, minReserve), maxReserve)
		w.file.Reserve(w.reserved)
	}
	for _, c := range group {
		var h [recordHeader]byte
		binary.LittleEndian.PutUint32(h[0:], recordMagic)
		binary.LittleEndian.PutUint32(h[4:], uint32(len(c.request)))
		binary.LittleEndian.PutUint32(h[12:], recordRequest)
		binary.LittleEndian.PutUint64(h[16:], c.received)
		request := unsafeBytes(c.request)
		binary.LittleEndian.PutUint32(h[8:], recordSum(h[:], request))
		if err := w.put(h[:]); err != nil {
			return err
		}
		if err := w.put(request); err != nil {
			return err
		}
	}
	w.written = size
	if !w.sync {
		return nil
	}
	return w.syncNow()
}

func (w *wal) put(b []byte) error {
	if n, err := w.file.Write(b); err != nil || n != len(b) {
		return w.abandon(fmt.Errorf("writing log %q: %w", w.name, err))
	}
	return nil
}

func (w *wal) syncNow() error {
	if w.fsyncs != nil {
		w.fsyncs.Add(1)
	}
	if err := w.file.Sync(); err != nil {
		return w.abandon(fmt.Errorf("syncing log %q: %w", w.name, err))
	}
	w.synced = w.written
	return nil
}

// abandon tries to take away what was refused; that it stays does no harm.
func (w *wal) abandon(err error) error {
	_ = w.file.Truncate(w.acknowledged())
	return err
}

// acknowledged is the size of the file up to the last record that was acknowledged.
func (w *wal) acknowledged() int64 {
	if w.sync {
		return w.synced
	}
	return w.written
}

// flush syncs what was written without sync. It returns the error of the first
// time that this fails only.
func (w *wal) flush() error {
	w.leader.Lock()
	defer w.leader.Unlock()
	if w.err != nil || w.synced == w.written {
		return nil
	}
	w.err = w.syncNow()
	w.failed.Store(w.err != nil)
	return w.err
}

func (w *wal) close() error {
	w.leader.Lock()
	defer w.leader.Unlock()
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	if w.err == nil {
		w.err = ErrClosed
	}
	return err
}

// recordSum is the checksum of a record: of its header without the checksum, and
// of its content.
func recordSum(header, content []byte) uint32 {
	sum := crc32.Update(0, castagnoli, header[4:8])
	sum = crc32.Update(sum, castagnoli, header[12:recordHeader])
	return crc32.Update(sum, castagnoli, content)
}

// size is the bytes of the log.
func (w *wal) size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return walHeader + w.bytes
}
