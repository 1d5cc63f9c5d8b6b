package store

import "github.com/throughline/throughline/backend/span"

// appending is the work of adding some spans to one trace, under DB.mu.
type appending struct {
	db       *DB
	trace    *trace
	chunk    []byte // encoded spans that are new
	changed  bool
	replaced bool
	moved    bool // a replaced span has another parent

	// The trace as it is in the timelines.
	oldStart, oldEnd    uint64
	oldServices, oldOps int
}

// span adds one span, or drops it as a duplicate, or puts it in the place of one.
func (a *appending) span(s *span.Span, data []byte, resourceKey, scopeKey string) error {
	t := a.trace
	at := t.find(s.SpanID)
	if at >= 0 {
		a.db.duplicates++
		if !a.supersedes(s, data, &t.entries[at]) {
			return nil
		}
	}
	o, err := a.db.origin(resourceKey, scopeKey)
	if err != nil {
		return err
	}
	origin, added := t.origins.add(o)
	if added {
		o.traces++
	}
	svc := a.db.service(o.resource.service)
	if _, added := t.services.add(svc); added {
		svc.traces++
	}
	op := a.db.operation(svc, s.Name, s.Kind)
	opAt, added := t.ops.add(op)
	if added {
		op.traces++
		t.stats = append(t.stats, opStats{})
	}
	e := entry{
		id: s.SpanID, parent: s.ParentSpanID, start: s.StartTime, end: s.EndTime,
		chunk: uint32(len(t.chunks)), off: uint32(len(a.chunk)), size: uint32(len(data)),
		op: opAt, origin: origin, status: s.Status.Code,
	}
	a.chunk = append(a.chunk, data...)
	a.changed = true
	t.live += len(data)
	op.count(1, e.status)
	if at < 0 {
		a.db.spans++
		t.add(e)
		return nil
	}
	old := &t.entries[at]
	t.ops.list[old.op].count(-1, old.status)
	t.live -= int(old.size)
	if old.parent != e.parent {
		a.moved = true
		t.reparent(old.parent, e.parent)
	}
	*old = e
	a.replaced = true
	return nil
}

func (op *operation) count(n int, status span.StatusCode) {
	op.spans += n
	if status == span.StatusError {
		op.errors += n
	}
}

// supersedes decides between a span and the one that is held under its id.
func (a *appending) supersedes(s *span.Span, data []byte, held *entry) bool {
	if s.EndTime != held.end {
		return s.EndTime > held.end
	}
	if len(data) != int(held.size) {
		return len(data) > int(held.size)
	}
	// The held one may be of this very batch.
	if int(held.chunk) == len(a.trace.chunks) {
		return string(data) > string(a.chunk[held.off:][:held.size])
	}
	return string(data) > a.trace.data(held)
}

// finish puts the trace where it belongs now.
func (a *appending) finish() {
	db, t := a.db, a.trace
	if len(a.chunk) > 0 {
		t.chunks = append(t.chunks, string(a.chunk))
		t.stored += len(a.chunk)
	}
	if a.replaced {
		t.recount(a.moved)
		t.compact()
	}
	a.reindex()
	t.received = db.options.Now().UnixNano()
	for _, s := range t.services.list {
		s.received = t.received
	}
	db.unlink(t)
	db.link(t)
	size := t.account()
	db.bytes += size - t.size
	t.size = size
}

// reindex moves the trace in the timelines when its start has changed, adds it to
// those that are new to it, and tells the others when it has become longer.
func (a *appending) reindex() {
	t := a.trace
	was, is := key{a.oldStart, t}, key{t.start, t}
	each := func(l *timeline, known bool) {
		switch {
		case !known:
			l.insert(is, t.end)
		case was != is:
			l.remove(was)
			l.insert(is, t.end)
		case t.end > a.oldEnd:
			l.extend(is, t.end)
		}
	}
	each(&a.db.timeline, a.oldOps > 0)
	for i, s := range t.services.list {
		each(&s.timeline, i < a.oldServices)
	}
	for i, op := range t.ops.list {
		each(&op.timeline, i < a.oldOps)
	}
}

// link makes the trace the newest.
func (db *DB) link(t *trace) {
	t.older, t.newer = db.newest, nil
	if db.newest != nil {
		db.newest.newer = t
	} else {
		db.oldest = t
	}
	db.newest = t
}

// unlink takes the trace out of the list, where it need not be.
func (db *DB) unlink(t *trace) {
	if t.older != nil {
		t.older.newer = t.newer
	} else if db.oldest == t {
		db.oldest = t.newer
	}
	if t.newer != nil {
		t.newer.older = t.older
	} else if db.newest == t {
		db.newest = t.older
	}
	t.older, t.newer = nil, nil
}
