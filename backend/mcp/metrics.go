package mcp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/throughline/throughline/backend/client"
)

// The most series of an answer, and points of each.
const (
	maxSeries = 50
	maxPoints = 60
)

type metricsInput struct {
	Query   string `json:"query" jsonschema:"TraceQL that ends in a metrics function, such as { status = error } | rate() by (resource.service.name)"`
	From    string `json:"from,omitempty" jsonschema:"start of the range: 1h for an hour ago, or a time such as 2026-01-02T15:04:05Z; an hour before the end when left out"`
	To      string `json:"to,omitempty" jsonschema:"end of the range, likewise; now when left out"`
	Step    string `json:"step,omitempty" jsonschema:"time between points such as 1m; when left out there are about 30 points"`
	Instant bool   `json:"instant,omitempty" jsonschema:"one value over the whole range instead of points"`
}

type metricsOutput struct {
	Series []seriesOutput `json:"series"`
	Cut    bool           `json:"cut,omitempty" jsonschema:"there are more series"`
}

type seriesOutput struct {
	Labels map[string]string `json:"labels"`
	Points []pointOutput     `json:"points"`
}

type pointOutput struct {
	Time  string   `json:"time"`
	Value *float64 `json:"value" jsonschema:"null where there is none"`
}

func (s *tools) metrics(ctx context.Context, in metricsInput) (*sdk.CallToolResult, metricsOutput, error) {
	out := metricsOutput{Series: []seriesOutput{}}
	q := client.MetricsQuery{TraceQL: strings.TrimSpace(in.Query), Instant: in.Instant}
	if q.TraceQL == "" {
		return nil, out, errors.New("query is empty")
	}
	var err error
	if q.Start, q.End, err = s.bounds(in.From, in.To); err != nil {
		return nil, out, err
	}
	if q.End.IsZero() {
		q.End = s.now()
	}
	if q.Start.IsZero() {
		q.Start = q.End.Add(-time.Hour)
	}
	took := q.End.Sub(q.Start)
	q.Step = max(time.Second, (took / 30).Truncate(time.Second))
	if in.Step != "" {
		if q.Step, err = time.ParseDuration(in.Step); err != nil || q.Step <= 0 {
			return nil, out, fmt.Errorf("step %q: want a duration such as 1m", in.Step)
		}
		if took/q.Step > maxPoints {
			return nil, out, fmt.Errorf("step %s makes %d points of %s: want at most %d", q.Step, took/q.Step, took, maxPoints)
		}
	}
	list, err := s.client.Metrics(ctx, q)
	if err != nil {
		return nil, out, err
	}
	bytes := 0
	for _, one := range list {
		if out.Cut = len(out.Series) == maxSeries || bytes > maxAnswer; out.Cut {
			break
		}
		o := seriesOutput{Labels: map[string]string{}, Points: []pointOutput{}}
		for _, l := range one.Labels {
			o.Labels[clip(l.Key, maxText)] = clip(l.Value.Text(), maxText)
		}
		for _, p := range one.Points[max(0, len(one.Points)-maxPoints-2):] {
			value := &p.Value
			if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
				value = nil
			}
			o.Points = append(o.Points, pointOutput{p.Time.UTC().Format(time.RFC3339), value})
		}
		bytes += size(o)
		out.Series = append(out.Series, o)
	}
	return nil, out, nil
}
