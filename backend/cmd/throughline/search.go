package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/terminal"
)

const serverHelp = `

The server is that of --url, of any of three kinds: Throughline, Grafana Tempo or
Jaeger 2. Its kind is found out by asking it, or told by --kind.`

const readingHelp = serverHelp + ` --data reads a data
directory instead, when no server has it open.`

const environmentHelp = `

Environment: THROUGHLINE_URL, THROUGHLINE_KIND, THROUGHLINE_API_TOKEN,
THROUGHLINE_API_TOKEN_FILE, THROUGHLINE_HEADER, THROUGHLINE_TLS_CA,
THROUGHLINE_TLS_CERT, THROUGHLINE_TLS_KEY, THROUGHLINE_TLS_SKIP_VERIFY and
THROUGHLINE_TIMEOUT stand for the flags of these names. NO_COLOR turns colours off,
COLUMNS is the width to draw for.`

func searchCommand() *cobra.Command {
	var (
		c     connection
		o     output
		r     timeRange
		fail  failure
		q     queryFlags
		json  bool
		spans int
	)
	cmd := &cobra.Command{
		Use:   "search [TRACEQL]",
		Short: "Find traces by TraceQL or by a simple filter",
		Long: `Find traces, newest first, and list them: when each began, how long it took, its
spans and errors, its root, and the id that "throughline trace" takes.

The query is TraceQL. Without one, the flags --service, --name, --span-kind, --status,
--min-duration, --max-duration and --attr make it: a trace fits when one of its spans
fits all of them. With neither, all traces fit. A Jaeger server does not know
TraceQL; what its own search can say is asked of it, and the rest is decided here, on
the traces that it returns.` + readingHelp + `

Exit status: 0 when the search was done, whether or not something was found; 1 on an
error, and on what --fail-if-found and --fail-if-empty say; 2 on wrong usage.` + environmentHelp,
		Example: `  throughline search '{ resource.service.name = "articles-service" && status = error }'
  throughline search '{ duration > 100ms } | select(span.http.route)' --spans 5 --last 30m
  throughline search --service suggestions-service --min-duration 50ms --limit 5
  throughline search '{ status = error }' --last 10m --fail-if-found
  throughline search '{}' --json | jq -r '.traces[].traceId'
  throughline search --url http://localhost:3200 '{ name =~ "GET .*" }'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := q.query(args)
			if err != nil {
				return err
			}
			if query.Start, query.End, err = r.bounds(time.Now()); err != nil {
				return err
			}
			if spans < 0 {
				return &usageError{fmt.Errorf("--spans %d: want 0 or more", spans)}
			}
			query.Spans = max(spans, 1)
			style, err := o.style(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			found, err := ask(cmd, &c, func(ctx context.Context, cl client.Client) (client.Found, error) { return cl.Search(ctx, query) })
			if err != nil {
				return explain(query.TraceQL, err)
			}
			if json {
				err = writeJSON(cmd.OutOrStdout(), foundJSON(found))
			} else {
				err = writeFound(cmd.OutOrStdout(), style, found, spans, o.zone())
				fmt.Fprintln(cmd.ErrOrStderr(), style.Dim(footer(found)))
			}
			return errors.Join(err, fail.check(len(found.Traces), "trace"))
		},
	}
	c.add(cmd)
	q.add(cmd, &c)
	r.add(cmd, "all that a Throughline server has, the last 24 hours of others")
	o.add(cmd)
	fail.add(cmd, "a trace", "no trace")
	f := cmd.Flags()
	f.IntVar(&q.limit, "limit", 20, "how many traces to find at most, up to 10000")
	f.IntVar(&spans, "spans", 0, "list this many of the spans that fit below each trace")
	f.BoolVar(&json, "json", false, "write one JSON object instead of a table")
	return cmd
}

// ask opens the connection, asks, and closes it.
func ask[T any](cmd *cobra.Command, c *connection, question func(context.Context, client.Client) (T, error)) (answer T, err error) {
	cl, end, err := c.open(cmd.Context(), cmd)
	if err != nil {
		return answer, err
	}
	defer func() { err = errors.Join(err, end()) }()
	return question(cmd.Context(), cl)
}

func footer(found client.Found) string {
	text := terminal.Count(len(found.Traces), "trace")
	if found.Truncated {
		text += ", and there are more: --limit finds them"
	}
	return text
}

func writeFound(w io.Writer, style terminal.Style, found client.Found, spans int, zone *time.Location) error {
	services := style.Services()
	columns := []terminal.Column{
		{Title: "START"},
		{Title: "DURATION", Right: true},
		{Title: "SPANS", Right: true},
		{Title: "ERRORS", Right: true},
		{Title: "SERVICE", Least: 10},
		{Title: "NAME", Least: 16},
		{Title: "TRACE"},
	}
	var rows [][]terminal.Cell
	for i := range found.Traces {
		m := &found.Traces[i]
		service := func(text string) string { return services.Paint(m.RootService, text) }
		name := terminal.Cell{Text: m.RootName}
		if !m.HasRoot {
			name = terminal.Cell{Text: strings.TrimSpace(m.RootName + " (no root yet)"), Paint: style.Dim}
		}
		errs := terminal.Cell{Text: count(m.ErrorCount)}
		if m.ErrorCount > 0 {
			errs.Paint = style.Red
		}
		rows = append(rows, []terminal.Cell{
			{Text: terminal.Time(m.StartTime, zone)},
			{Text: durationText(m)},
			{Text: count(m.SpanCount)},
			errs,
			{Text: m.RootService, Paint: service},
			name,
			{Text: m.TraceID.String(), Paint: style.Dim},
		})
		for j, s := range m.Spans {
			if j == spans {
				break
			}
			text := fmt.Sprintf("  · %s  %s  %s%s", s.SpanID, terminal.Duration(s.Duration), s.Name, attributesText(s.Attributes))
			rows = append(rows, []terminal.Cell{{Text: text, Paint: style.Dim}})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return style.Table(w, columns, rows)
}

// durationText is the duration of a trace, of which Tempo knows whole milliseconds.
func durationText(m *client.Match) string {
	if m.Duration() == 0 {
		return "<1ms"
	}
	return terminal.Duration(m.Duration())
}

// count is a number that may not be known.
func count(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func attributesText(list []span.Attribute) string {
	var b strings.Builder
	for _, a := range list {
		fmt.Fprintf(&b, "  %s=%s", a.Key, a.Value.Text())
	}
	return b.String()
}
