package jaeger

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// The metrics of the UI's Monitor tab, as Jaeger reads them from a Prometheus that
// was filled by its span-metrics connector; here they come from the store's
// rollups, so that a rate is over whole minutes. A point of latency or of the
// share of errors at which there were no calls is left out, a rate there is 0.

// metricsQuery is the parameters that the three endpoints share.
type metricsQuery struct {
	services  []string
	byName    bool
	kinds     []span.Kind
	end       time.Time
	lookback  time.Duration
	step      time.Duration
	ratePer   time.Duration
	perMinute int64 // minutes of ratePer, at least 1
}

// maxPoints bounds the points of one series, as Prometheus does.
const maxPoints = 11_000

func (h *Handler) metricsQuery(r *http.Request) (*metricsQuery, error) {
	q := r.URL.Query()
	m := &metricsQuery{services: q["service"], kinds: []span.Kind{span.KindServer}}
	if len(m.services) == 0 {
		return nil, reply.Invalid("unable to parse param 'service': please provide at least one service name")
	}
	var err error
	if m.byName, err = boolean(q, "groupByOperation"); err != nil {
		return nil, err
	}
	if names := q["spanKind"]; len(names) > 0 {
		m.kinds = nil
		for _, name := range names {
			k, ok := span.ParseKind(strings.ToLower(name))
			if !ok {
				return nil, reply.Invalid("unable to parse param 'spanKind': unsupported span kind: '%.100s'", name)
			}
			m.kinds = append(m.kinds, k)
		}
	}
	m.end = h.Now()
	for _, p := range []struct {
		name   string
		to     *time.Duration
		absent time.Duration
		least  time.Duration
	}{
		{"lookback", &m.lookback, time.Hour, 0},
		{"step", &m.step, 5 * time.Second, time.Millisecond},
		{"ratePer", &m.ratePer, 10 * time.Minute, time.Millisecond},
	} {
		if *p.to, err = milliseconds(q, p.name, p.absent); err != nil {
			return nil, err
		}
		if *p.to < p.least {
			return nil, reply.Invalid("unable to parse param '%s': want at least 1 millisecond", p.name)
		}
	}
	end, err := milliseconds(q, "endTs", time.Duration(m.end.UnixNano()))
	if err != nil {
		return nil, err
	}
	m.end = time.Unix(0, int64(end)).Truncate(time.Millisecond)
	if m.lookback/m.step >= maxPoints {
		return nil, reply.Invalid("lookback %s in steps of %s: want at most %d points", m.lookback, m.step, maxPoints)
	}
	if m.ratePer > 31*24*time.Hour {
		return nil, reply.Invalid("ratePer %s: want at most 31 days", m.ratePer)
	}
	m.perMinute = int64(math.Ceil(m.ratePer.Minutes()))
	return m, nil
}

// metricFamily is the OpenMetrics message in proto3's JSON, where an empty list is
// left out.
type metricFamily struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Help    string   `json:"help"`
	Metrics []metric `json:"metrics,omitempty"`
}

type metric struct {
	Labels []label `json:"labels"`
	Points []point `json:"metricPoints"`
}

type label struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type point struct {
	Gauge gauge  `json:"gaugeValue"`
	Time  string `json:"timestamp"`
}

type gauge struct {
	Value float64 `json:"doubleValue"`
}

func (h *Handler) latencies(w http.ResponseWriter, r *http.Request) error {
	q, err := strconv.ParseFloat(r.URL.Query().Get("quantile"), 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return reply.Invalid("unable to parse param 'quantile': %q: want a number from 0 to 1", reply.Clip(r.URL.Query().Get("quantile")))
	}
	return h.metrics(w, r, "latencies", fmt.Sprintf("%.2fth quantile latency", q), func(c *calls, _ *metricsQuery) (float64, bool) {
		return float64(c.durations.Quantile(q)) / 1e6, c.durations.Count() > 0
	})
}

func (h *Handler) calls(w http.ResponseWriter, r *http.Request) error {
	return h.metrics(w, r, "call_rate", "calls/sec", func(c *calls, m *metricsQuery) (float64, bool) {
		return float64(c.durations.Count()) / float64(60*m.perMinute), true
	})
}

func (h *Handler) errors(w http.ResponseWriter, r *http.Request) error {
	return h.metrics(w, r, "error_rate", "error rate, computed as a fraction of errors/sec over calls/sec", func(c *calls, _ *metricsQuery) (float64, bool) {
		n := c.durations.Count()
		return float64(c.errors) / float64(n), n > 0
	})
}

// calls is what happened in the minutes before one point.
type calls struct {
	durations store.Sketch
	errors    uint64
}

func (h *Handler) metrics(w http.ResponseWriter, r *http.Request, name, help string, value func(*calls, *metricsQuery) (float64, bool)) error {
	m, err := h.metricsQuery(r)
	if err != nil {
		return err
	}
	family := metricFamily{Name: "service_" + name, Type: "GAUGE", Help: help + ", grouped by service"}
	if m.byName {
		family.Name = "service_operation_" + name
		family.Help += " & operation"
	}
	start := m.end.Add(-m.lookback)
	stored := make([]string, len(m.services))
	for i, s := range m.services {
		stored[i] = storedService(s)
	}
	list, err := h.Store.OperationMinutes(r.Context(), unixNano(start.Add(-time.Duration(m.perMinute)*time.Minute)), unixNano(m.end),
		func(service string) bool { return slices.Contains(stored, service) })
	if err != nil {
		return err
	}
	type key struct{ service, name string }
	var order []key
	series := map[key][]store.OperationMinutes{}
	for _, o := range list {
		if !slices.Contains(m.kinds, o.Kind) {
			continue
		}
		k := key{service: serviceName(o.Service)}
		if m.byName {
			k.name = spanName(o.Name)
		}
		if series[k] == nil {
			order = append(order, k)
		}
		series[k] = append(series[k], o)
	}
	for _, k := range order {
		one := metric{Labels: []label{{"service_name", k.service}}}
		if m.byName {
			one.Labels = append(one.Labels, label{"operation", k.name})
		}
		for at := start; !at.After(m.end); at = at.Add(m.step) {
			if err := r.Context().Err(); err != nil {
				return err
			}
			if v, ok := value(callsBefore(series[k], at, m.perMinute), m); ok {
				one.Points = append(one.Points, point{gauge{v}, timestamp(at)})
			}
		}
		if len(one.Points) > 0 {
			family.Metrics = append(family.Metrics, one)
		}
	}
	return write(w, r, family)
}

// timestamp is proto3's JSON of a time of whole milliseconds.
func timestamp(t time.Time) string {
	if t.Nanosecond() == 0 {
		return t.UTC().Format(time.RFC3339)
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// callsBefore adds up the minutes that end with that of at.
func callsBefore(series []store.OperationMinutes, at time.Time, minutes int64) *calls {
	last := at.Unix() / 60
	first := last - minutes + 1
	c := &calls{}
	for i := range series {
		all := series[i].Counts
		from, _ := slices.BinarySearchFunc(all, first, func(m store.MinuteCount, minute int64) int {
			return int(int64(m.Minute) - minute)
		})
		for _, m := range all[from:] {
			if int64(m.Minute) > last {
				break
			}
			c.durations.Add(m.Nanoseconds, m.Count)
			if series[i].Status == span.StatusError {
				c.errors += m.Count
			}
		}
	}
	return c
}
