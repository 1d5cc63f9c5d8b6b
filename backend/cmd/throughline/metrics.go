package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/terminal"
	"github.com/throughline/throughline/backend/traceql"
)

func metricsCommand() *cobra.Command {
	var (
		c         connection
		o         output
		r         timeRange
		fail      failure
		json, csv bool
		q         client.MetricsQuery
	)
	cmd := &cobra.Command{
		Use:   "metrics TRACEQL",
		Short: "Compute a TraceQL metrics query, as a chart",
		Long: `Compute a TraceQL query that ends in a metrics function, such as rate(),
count_over_time() or quantile_over_time(duration, .95), and draw its series over time.
Of more than eight series the largest are drawn; --csv and --json have all.
--instant computes one value for each series over the whole range. A Jaeger server has
no such metrics.` + readingHelp + environmentHelp,
		Example: `  throughline metrics '{} | rate() by (resource.service.name)' --last 30m
  throughline metrics '{ kind = server } | quantile_over_time(duration, .5, .95) by (name)' --step 1m
  throughline metrics '{ status = error } | count_over_time()' --instant --last 10m
  throughline metrics '{} | rate()' --csv > rate.csv`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.TraceQL = strings.TrimSpace(args[0]); q.TraceQL == "" {
				return &usageError{errors.New("the query is empty")}
			}
			if q.Step < 0 {
				return &usageError{fmt.Errorf("--step %s: want more than 0", q.Step)}
			}
			var err error
			if q.Start, q.End, err = r.bounds(time.Now()); err != nil {
				return err
			}
			style, err := o.style(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if q.Step == 0 && !csv && !json {
				q.Step = chartStep(q.Start, q.End, style.Width)
			}
			list, err := ask(cmd, &c, func(ctx context.Context, cl client.Client) ([]client.Series, error) { return cl.Metrics(ctx, q) })
			if err != nil {
				return explain(q.TraceQL, err)
			}
			switch {
			case csv:
				err = writeSeriesCSV(out, list)
			case json:
				err = writeSeriesJSON(out, list)
			case len(list) == 0:
				fmt.Fprintln(cmd.ErrOrStderr(), style.Dim("no series: no span fits in that time"))
			case q.Instant:
				err = writeInstant(out, style, list, valueFormat(q.TraceQL))
			default:
				err = style.Chart(out, linesOf(list), chartOf(&q, o.zone()))
			}
			return errors.Join(err, fail.check(len(list), "series"))
		},
	}
	c.add(cmd)
	r.add(cmd, "an hour before the end")
	o.add(cmd)
	fail.add(cmd, "a series", "no series")
	f := cmd.Flags()
	f.DurationVar(&q.Step, "step", 0, "time between two points (default: as many as the chart is wide, or the server's choice)")
	f.BoolVar(&q.Instant, "instant", false, "one value over the whole range instead of points in time")
	f.BoolVar(&csv, "csv", false, "write CSV: time, a column for each label, value")
	f.BoolVar(&json, "json", false, "write one JSON object")
	cmd.MarkFlagsMutuallyExclusive("csv", "json")
	cmd.MarkFlagsMutuallyExclusive("instant", "step")
	return cmd
}

// chartOf is the chart of a query, over the whole of its range.
func chartOf(q *client.MetricsQuery, zone *time.Location) terminal.Chart {
	c := terminal.Chart{Start: q.Start, End: q.End, Zone: zone, Format: valueFormat(q.TraceQL)}
	if c.End.IsZero() {
		c.End = time.Now()
	}
	if c.Start.IsZero() {
		c.Start = c.End.Add(-time.Hour)
	}
	return c
}

// valueFormat writes what a query computes of durations, which are in seconds, as
// such, and other values as numbers.
func valueFormat(query string) func(float64) string {
	parsed, err := traceql.Parse(query)
	if err != nil || parsed.Metrics == nil {
		return terminal.Number
	}
	m := parsed.Metrics
	if f := m.Field; f == nil || f.Type() != traceql.TypeDuration || m.Func == traceql.HistogramOverTime {
		return terminal.Number
	}
	return func(seconds float64) string {
		if math.IsNaN(seconds) || math.Abs(seconds) > math.MaxInt64/1e9 {
			return "-"
		}
		return terminal.Duration(time.Duration(seconds * 1e9))
	}
}

// chartStep is a round time of which there are no more in the range than a chart has
// columns.
func chartStep(start, end time.Time, columns int) time.Duration {
	took := time.Hour
	switch {
	case !start.IsZero() && end.IsZero():
		took = time.Since(start)
	case !start.IsZero():
		took = end.Sub(start)
	}
	if columns <= 0 {
		columns = 100
	}
	least := took / time.Duration(max(20, columns-20))
	for _, step := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute,
		2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	} {
		if step >= least {
			return step
		}
	}
	return least.Truncate(time.Hour) + time.Hour
}

// seriesName is the labels of a series as TraceQL's readers know them.
func seriesName(s *client.Series) string {
	var parts []string
	for _, l := range s.Labels {
		if l.Key == "__name__" {
			continue
		}
		value := l.Value.Text()
		if value == "" {
			value = `""`
		}
		parts = append(parts, l.Key+"="+value)
	}
	return strings.Join(parts, " ")
}

func linesOf(list []client.Series) []terminal.Line {
	lines := make([]terminal.Line, len(list))
	for i := range list {
		lines[i].Name = seriesName(&list[i])
		for _, p := range list[i].Points {
			lines[i].Points = append(lines[i].Points, terminal.Point(p))
		}
	}
	return lines
}

func writeInstant(w io.Writer, style terminal.Style, list []client.Series, format func(float64) string) error {
	var rows [][]terminal.Cell
	for i := range list {
		for _, p := range list[i].Points {
			name := seriesName(&list[i])
			if name == "" {
				name = "all"
			}
			rows = append(rows, []terminal.Cell{{Text: name}, {Text: format(p.Value)}})
		}
	}
	return style.Table(w, []terminal.Column{{Title: "SERIES", Least: 20}, {Title: "VALUE", Right: true}}, rows)
}

func writeSeriesCSV(w io.Writer, list []client.Series) error {
	var keys []string
	for i := range list {
		for _, l := range list[i].Labels {
			if l.Key != "__name__" && !slices.Contains(keys, l.Key) {
				keys = append(keys, l.Key)
			}
		}
	}
	out := csv.NewWriter(w)
	out.Write(slices.Concat([]string{"time"}, keys, []string{"value"}))
	for i := range list {
		row := make([]string, len(keys)+2)
		for _, l := range list[i].Labels {
			if at := slices.Index(keys, l.Key); at >= 0 {
				row[at+1] = l.Value.Text()
			}
		}
		for _, p := range list[i].Points {
			row[0] = p.Time.UTC().Format(time.RFC3339Nano)
			row[len(row)-1] = strconv.FormatFloat(p.Value, 'g', -1, 64)
			out.Write(row)
		}
	}
	out.Flush()
	return out.Error()
}

func writeSeriesJSON(w io.Writer, list []client.Series) error {
	type point struct {
		Time  string   `json:"time"`
		Value *float64 `json:"value"` // null is not a number
	}
	type series struct {
		Labels attributes `json:"labels"`
		Points []point    `json:"points"`
	}
	out := []series{}
	for _, s := range list {
		one := series{Labels: s.Labels, Points: []point{}}
		for _, p := range s.Points {
			value := &p.Value
			if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
				value = nil
			}
			one.Points = append(one.Points, point{p.Time.UTC().Format(time.RFC3339Nano), value})
		}
		out = append(out, one)
	}
	return writeJSON(w, map[string]any{"series": out})
}
