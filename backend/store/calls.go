package store

// calls counts the calls between the spans of a head as they arrive, so that a
// query looks only at what is new. Traces that it cannot do that for are counted
// with the spread ones, anew after every change: those of which spans are hidden,
// and large ones.
type calls struct {
	rows   int               // those below it were looked at
	counts map[callKey]int64 // as many as they stand for
	keys   map[callOrigin]uint32
	weigh  *weigher // while counting
}

type callKey struct {
	at   uint64 // minute and bucket, as in tally
	edge uint32 // in spread.edgeList
}

type callOrigin struct {
	parent, child uint32 // resources
	status        int32
}

// count brings the counts up to the view of the spread's head.
func (c *calls) count(r *reading, s *spread, v *headView) {
	if c.counts == nil {
		c.counts, c.keys = map[callKey]int64{}, map[callOrigin]uint32{}
	}
	c.weigh = v.weigher()
	defer func() { c.weigh = nil }() // it keeps a view
	for _, d := range v.dead {
		for i := d.from; i < min(d.to, v.n); i++ {
			if t := v.row(i).trace; !s.is[t] {
				r.db.mu.Lock()
				last := int(v.h.traces.last[t]) - 1
				for last >= c.rows {
					last = int(v.h.row(last).prev) - 1
				}
				r.db.mu.Unlock()
				c.leave(s, v, last)
				s.mark(t)
			}
		}
	}
	for ; c.rows < v.n; c.rows++ {
		if t := v.row(c.rows).trace; !s.is[t] && c.row(s, v, c.rows, 1) > manyRows {
			c.leave(s, v, c.rows)
			s.mark(t)
		}
	}
}

// leave takes out the calls of a trace, of which row is the last one counted.
func (c *calls) leave(s *spread, v *headView, row int) {
	for row >= 0 {
		c.row(s, v, row, -1)
		row = int(v.row(row).prev) - 1
	}
}

// row counts the calls between a span and those of its trace that arrived before
// it, or takes them out when sign is -1, and returns how many those are.
func (c *calls) row(s *spread, v *headView, i int, sign int64) (before int) {
	child := v.row(i)
	if child.parent == child.id {
		c.add(s, v, child, child, sign)
	}
	for next := child.prev; next != 0; before++ {
		other := v.row(int(next) - 1)
		if other.id == child.parent {
			c.add(s, v, other, child, sign)
		}
		if other.parent == child.id {
			c.add(s, v, child, other, sign)
		}
		next = other.prev
	}
	return before
}

func (c *calls) add(s *spread, v *headView, parent, child *row, sign int64) {
	from, to := &v.series[parent.series], &v.series[child.series]
	o := callOrigin{from.resource, to.resource, to.status}
	edge, ok := c.keys[o]
	if !ok {
		edge = s.edge(spreadEdge{v.resources[o.parent].ServiceName(), v.resources[o.child].ServiceName(), o.status})
		c.keys[o] = edge
	}
	c.counts[callKey{minuteAndBucket(child.start, child.end-child.start), edge}] += sign * c.weigh.count(child)
}

func (c *calls) size() int { return int(mapEntry * float64(24*len(c.counts)+16*len(c.keys))) }
