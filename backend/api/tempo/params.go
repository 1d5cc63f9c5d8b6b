package tempo

import (
	"net/url"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/traceql"
)

// timeRange reads start and end, in unix seconds, as unix nanoseconds; an absent
// one is 0. Both ends are included, the end with the whole of its second.
func timeRange(q url.Values) (start, end uint64, err error) {
	if start, err = seconds(q, "start"); err != nil {
		return 0, 0, err
	}
	if end, err = seconds(q, "end"); err != nil {
		return 0, 0, err
	}
	return between(start, end)
}

// maxSeconds bounds times to those whose unix nanoseconds fit 63 bits.
const maxSeconds = 1<<63/1_000_000_000 - 1

func seconds(q url.Values, name string) (uint64, error) {
	v := q.Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n > maxSeconds {
		return 0, reply.Invalid("invalid %s: %q: want unix seconds", name, reply.Clip(v))
	}
	return n, nil
}

// between makes a range of unix nanoseconds of one of seconds.
func between(start, end uint64) (uint64, uint64, error) {
	if end != 0 && start > end {
		return 0, 0, reply.Invalid("invalid range: start %d is after end %d", start, end)
	}
	if start > maxSeconds || end > maxSeconds {
		return 0, 0, reply.Invalid("invalid range: want unix seconds")
	}
	if end != 0 {
		return start * 1e9, end*1e9 + 999_999_999, nil
	}
	return start * 1e9, 0, nil
}

// number reads a count; an absent one or 0 is 0.
func number(q url.Values, name string) (int, error) {
	v := q.Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0, reply.Invalid("invalid %s: %q: want a number", name, reply.Clip(v))
	}
	return int(n), nil
}

// moment reads a time of a metrics query: unix seconds, unix nanoseconds or RFC
// 3339; zero when it is absent.
func moment(q url.Values, name string) (time.Time, error) {
	v := q.Get(name)
	if v == "" {
		return time.Time{}, nil
	}
	if n, err := strconv.ParseUint(v, 10, 63); err == nil {
		return epoch(n), nil
	}
	if f, err := strconv.ParseFloat(v, 64); err == nil && f >= 0 && f <= maxSeconds {
		return time.Unix(0, int64(f*1e9)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil || t.Unix() < 0 || t.Unix() > maxSeconds {
		return time.Time{}, reply.Invalid("invalid %s: %q: want unix seconds, unix nanoseconds or a time such as 2026-01-02T15:04:05Z", name, reply.Clip(v))
	}
	return t, nil
}

// epoch takes large numbers for nanoseconds: as seconds they are after the year
// 5000.
func epoch(n uint64) time.Time {
	if n < 100_000_000_000 {
		return time.Unix(int64(n), 0)
	}
	return time.Unix(0, int64(n))
}

// duration reads 15s, or a number of seconds; an absent one is 0.
func duration(q url.Values, name string) (time.Duration, error) {
	v := q.Get(name)
	if v == "" {
		return 0, nil
	}
	if f, err := strconv.ParseFloat(v, 64); err == nil && f > 0 && f < 1e9 {
		return time.Duration(f * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, reply.Invalid("invalid %s: %q: want a duration such as 15s", name, reply.Clip(v))
	}
	return d, nil
}

func parse(q string) (*traceql.Query, error) {
	query, err := traceql.Parse(q)
	if err != nil {
		return nil, reply.Invalid("invalid TraceQL query: %v", err)
	}
	return query, nil
}
