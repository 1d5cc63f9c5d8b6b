package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/terminal"
)

func servicesCommand() *cobra.Command {
	var (
		c    connection
		o    output
		fail failure
		json bool
	)
	cmd := &cobra.Command{
		Use:   "services",
		Short: "List the services that sent spans",
		Long: `List services by name, and, where the server is a Throughline, how many spans and errors
are held of each and when the last arrived.` + readingHelp + environmentHelp,
		Example: `  throughline services
  throughline services --url http://localhost:3200 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			style, err := o.style(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			list, err := ask(cmd, &c, func(ctx context.Context, cl client.Client) ([]client.Service, error) { return cl.Services(ctx) })
			if err != nil {
				return err
			}
			if json {
				err = writeServicesJSON(cmd, list)
			} else if len(list) > 0 {
				services := style.Services()
				columns := []terminal.Column{{Title: "SERVICE", Least: 10}, {Title: "SPANS", Right: true}, {Title: "ERRORS", Right: true}, {Title: "LAST SEEN"}}
				var rows [][]terminal.Cell
				for _, s := range list {
					row := []terminal.Cell{{Text: s.Name, Paint: func(text string) string { return services.Paint(s.Name, text) }}}
					row = append(row, countCells(style, s.Counts)...)
					rows = append(rows, append(row, terminal.Cell{Text: lastSeen(s.LastSeen, o.zone())}))
				}
				err = style.Table(cmd.OutOrStdout(), columns, rows)
			}
			return errors.Join(err, fail.check(len(list), "service"))
		},
	}
	c.add(cmd)
	o.add(cmd)
	fail.add(cmd, "a service", "no service")
	cmd.Flags().BoolVar(&json, "json", false, "write one JSON object instead of a table")
	return cmd
}

func lastSeen(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "-"
	}
	return terminal.Time(uint64(max(0, t.UnixNano())), zone)
}

func countCells(style terminal.Style, c *client.Counts) []terminal.Cell {
	if c == nil {
		return []terminal.Cell{{Text: "-"}, {Text: "-"}}
	}
	errs := terminal.Cell{Text: fmt.Sprint(c.Errors)}
	if c.Errors > 0 {
		errs.Paint = style.Red
	}
	return []terminal.Cell{{Text: fmt.Sprint(c.Spans)}, errs}
}

func writeServicesJSON(cmd *cobra.Command, list []client.Service) error {
	type service struct {
		Name       string `json:"name"`
		SpanCount  *int   `json:"spanCount,omitempty"`
		ErrorCount *int   `json:"errorCount,omitempty"`
		LastSeen   string `json:"lastSeenUnixNano,omitempty"`
	}
	out := []service{}
	for _, s := range list {
		one := service{Name: s.Name}
		if s.Counts != nil {
			one.SpanCount, one.ErrorCount = &s.Counts.Spans, &s.Counts.Errors
		}
		if !s.LastSeen.IsZero() {
			one.LastSeen = unixNano(uint64(s.LastSeen.UnixNano()))
		}
		out = append(out, one)
	}
	return writeJSON(cmd.OutOrStdout(), map[string]any{"services": out})
}

func operationsCommand() *cobra.Command {
	var (
		c       connection
		o       output
		fail    failure
		json    bool
		service string
	)
	cmd := &cobra.Command{
		Use:   "operations [--service NAME]",
		Short: "List the names of spans that services have",
		Long: `List the operations of one service or of all: span name and kind, and, where the server
is a Throughline, how many spans and errors are held of each. A Tempo server tells
neither the kind nor, of all services at once, the service.` + readingHelp + environmentHelp,
		Example: `  throughline operations --service articles-service
  throughline operations --json | jq -r '.operations[].name'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			style, err := o.style(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			list, err := ask(cmd, &c, func(ctx context.Context, cl client.Client) ([]client.Operation, error) {
				return cl.Operations(ctx, service)
			})
			if err != nil {
				return err
			}
			if json {
				err = writeOperationsJSON(cmd, list)
			} else if len(list) > 0 {
				services := style.Services()
				columns := []terminal.Column{
					{Title: "SERVICE", Least: 10}, {Title: "NAME", Least: 20}, {Title: "KIND"}, {Title: "SPANS", Right: true}, {Title: "ERRORS", Right: true},
				}
				var rows [][]terminal.Cell
				for _, s := range list {
					row := []terminal.Cell{
						{Text: s.Service, Paint: func(text string) string { return services.Paint(s.Service, text) }},
						{Text: s.Name},
						{Text: kindText(s.Kind)},
					}
					rows = append(rows, append(row, countCells(style, s.Counts)...))
				}
				err = style.Table(cmd.OutOrStdout(), columns, rows)
			}
			return errors.Join(err, fail.check(len(list), "operation"))
		},
	}
	c.add(cmd)
	o.add(cmd)
	fail.add(cmd, "an operation", "no operation")
	cmd.Flags().StringVar(&service, "service", "", "operations of this service (default: of all)")
	cmd.Flags().BoolVar(&json, "json", false, "write one JSON object instead of a table")
	_ = cmd.RegisterFlagCompletionFunc("service", c.completeServices)
	return cmd
}

func kindText(k span.Kind) string {
	if k == span.KindUnspecified {
		return "-"
	}
	return k.String()
}

func writeOperationsJSON(cmd *cobra.Command, list []client.Operation) error {
	type operation struct {
		Service    string `json:"service"`
		Name       string `json:"name"`
		Kind       string `json:"kind"`
		SpanCount  *int   `json:"spanCount,omitempty"`
		ErrorCount *int   `json:"errorCount,omitempty"`
	}
	out := []operation{}
	for _, s := range list {
		one := operation{Service: s.Service, Name: s.Name, Kind: s.Kind.String()}
		if s.Counts != nil {
			one.SpanCount, one.ErrorCount = &s.Counts.Spans, &s.Counts.Errors
		}
		out = append(out, one)
	}
	return writeJSON(cmd.OutOrStdout(), map[string]any{"operations": out})
}
