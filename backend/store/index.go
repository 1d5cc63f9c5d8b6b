package store

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/throughline/throughline/backend/span"
)

// service is a service name among the spans held. It lives as long as a trace
// refers to it.
type service struct {
	name     string
	byName   map[string][]*operation // its operations by span name
	timeline timeline
	traces   int
	received int64 // unix nanoseconds
}

// operation is a (service, span name, kind) among the spans held.
type operation struct {
	service       *service
	name          string
	kind          span.Kind
	timeline      timeline
	traces        int
	spans, errors int
}

// origin is a resource with a scope, shared by all spans that have equal ones.
type origin struct {
	key      originKey
	resource *resource
	scope    *span.Scope
	traces   int
}

type originKey struct {
	resource *resource
	scope    string // encoded
}

type resource struct {
	key     string // encoded
	value   *span.Resource
	service string
	origins int
}

// What one of them takes with its entry in a map, beside its text.
const (
	serviceBytes   = int64(unsafe.Sizeof(service{})) + 160
	operationBytes = int64(unsafe.Sizeof(operation{})) + 160
	originBytes    = int64(unsafe.Sizeof(origin{})+unsafe.Sizeof(span.Scope{})) + 160
	resourceBytes  = int64(unsafe.Sizeof(resource{})+unsafe.Sizeof(span.Resource{})) + 160
)

// encodedCost estimates what the decoded form of a resource or scope takes
// together with its encoded form.
func encodedCost(n int) int64 { return 6 * int64(n) }

func (db *DB) service(name string) *service {
	s := db.services[name]
	if s == nil {
		s = &service{name: strings.Clone(name), byName: map[string][]*operation{}}
		db.services[s.name] = s
		db.bytes += serviceBytes + int64(len(name))
	}
	return s
}

func (db *DB) operation(s *service, name string, kind span.Kind) *operation {
	for _, op := range s.byName[name] {
		if op.kind == kind {
			return op
		}
	}
	op := &operation{service: s, name: strings.Clone(name), kind: kind}
	s.byName[op.name] = append(s.byName[op.name], op)
	db.bytes += operationBytes + int64(len(name))
	return op
}

// origin returns the one shared origin of an encoded resource and scope.
func (db *DB) origin(resourceKey, scopeKey string) (*origin, error) {
	r := db.resources[resourceKey]
	if r == nil {
		r = &resource{key: strings.Clone(resourceKey), value: &span.Resource{}}
		if err := r.value.ReadProto(r.key); err != nil {
			return nil, err
		}
		r.service = r.value.ServiceName()
	}
	key := originKey{r, scopeKey}
	o := db.origins[key]
	if o != nil {
		return o, nil
	}
	key.scope = strings.Clone(scopeKey)
	o = &origin{key: key, resource: r, scope: &span.Scope{}}
	if err := o.scope.ReadProto(key.scope); err != nil {
		return nil, err
	}
	if r.origins++; r.origins == 1 {
		db.resources[r.key] = r
		db.bytes += resourceBytes + encodedCost(len(r.key))
	}
	db.origins[key] = o
	db.bytes += originBytes + encodedCost(len(key.scope))
	return o, nil
}

// release takes a trace out of the indexes, and with it what no other trace
// refers to.
func (db *DB) release(t *trace) {
	k := key{t.start, t}
	db.timeline.remove(k)
	for _, s := range t.services.list {
		s.timeline.remove(k)
		if s.traces--; s.traces == 0 {
			delete(db.services, s.name)
			db.bytes -= serviceBytes + int64(len(s.name))
		}
	}
	for i, op := range t.ops.list {
		op.timeline.remove(k)
		op.spans -= int(t.stats[i].spans)
		op.errors -= int(t.stats[i].errors)
		if op.traces--; op.traces > 0 {
			continue
		}
		same := slices.DeleteFunc(op.service.byName[op.name], func(o *operation) bool { return o == op })
		if len(same) == 0 {
			delete(op.service.byName, op.name)
		} else {
			op.service.byName[op.name] = same
		}
		db.bytes -= operationBytes + int64(len(op.name))
	}
	for _, o := range t.origins.list {
		if o.traces--; o.traces > 0 {
			continue
		}
		delete(db.origins, o.key)
		db.bytes -= originBytes + encodedCost(len(o.key.scope))
		if r := o.resource; r.origins == 1 {
			delete(db.resources, r.key)
			db.bytes -= resourceBytes + encodedCost(len(r.key))
		}
		o.resource.origins--
	}
}

// Service is a service name with what is held of it.
type Service struct {
	Name         string
	SpanCount    int
	ErrorCount   int
	LastReceived time.Time
}

// Operation is a (service, span name, kind) with what is held of it.
type Operation struct {
	Service    string
	Name       string
	Kind       span.Kind
	SpanCount  int
	ErrorCount int
}

// Services lists the services of the spans held, by name.
func (db *DB) Services() []Service {
	db.mu.RLock()
	defer db.mu.RUnlock()
	list := make([]Service, 0, len(db.services))
	for _, s := range db.services {
		out := Service{Name: s.name, LastReceived: unixNano(s.received)}
		for _, ops := range s.byName {
			for _, op := range ops {
				out.SpanCount += op.spans
				out.ErrorCount += op.errors
			}
		}
		if out.SpanCount > 0 { // else all its spans were replaced
			list = append(list, out)
		}
	}
	slices.SortFunc(list, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Operations lists the operations of one service, or of all when service is
// nil, by service, name and kind.
func (db *DB) Operations(service *string) []Operation {
	list := []Operation{}
	db.mu.RLock()
	for _, s := range db.services {
		if service != nil && *service != s.name {
			continue
		}
		for _, ops := range s.byName {
			for _, op := range ops {
				if op.spans > 0 { // else all its spans were replaced
					list = append(list, Operation{s.name, op.name, op.kind, op.spans, op.errors})
				}
			}
		}
	}
	db.mu.RUnlock()
	slices.SortFunc(list, func(a, b Operation) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

func (t *trace) serviceCounts() []span.ServiceCount {
	type count struct {
		span.ServiceCount
		first uint64
	}
	var list []count
	at := make(map[*service]int, len(t.services.list))
	for i, op := range t.ops.list {
		st := &t.stats[i]
		if st.spans == 0 {
			continue
		}
		j, ok := at[op.service]
		if !ok {
			j = len(list)
			at[op.service] = j
			list = append(list, count{span.ServiceCount{Name: op.service.name}, st.first})
		}
		c := &list[j]
		c.SpanCount += int(st.spans)
		c.ErrorCount += int(st.errors)
		c.first = min(c.first, st.first)
	}
	slices.SortFunc(list, func(a, b count) int {
		return cmp.Or(cmp.Compare(a.first, b.first), strings.Compare(a.Name, b.Name))
	})
	out := make([]span.ServiceCount, len(list))
	for i := range list {
		out[i] = list[i].ServiceCount
	}
	return out
}

func unixNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
