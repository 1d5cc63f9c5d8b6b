package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/terminal"
)

func traceCommand() *cobra.Command {
	var (
		c          connection
		o          output
		json, otlp bool
		w          terminal.Waterfall
	)
	cmd := &cobra.Command{
		Use:   "trace ID",
		Short: "Draw one trace as a waterfall",
		Long: `Draw a trace: its spans as a tree, and beside each a bar that says when it ran and
for how long. Each service has its colour; a span with an error has ✗, and below it
what it says of the error. A span whose parent has not arrived, or is below it, stands
at the left and says so.

The id is 32 hexadecimal digits, as "throughline search" lists it; leading zeros may be
left out.` + readingHelp + environmentHelp,
		Example: `  throughline trace 5b8efff798038103d269b633813fc60c
  throughline trace 5b8efff798038103d269b633813fc60c --details
  throughline trace 5b8efff798038103d269b633813fc60c --color always | less -R
  throughline trace 5b8efff798038103d269b633813fc60c --json | jq '.spans[] | select(.status == "error") | .name'
  throughline trace 5b8efff798038103d269b633813fc60c --otlp > trace.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := span.ParseTraceID(args[0])
			if err != nil {
				return &usageError{err}
			}
			if w.Spans < 0 {
				return &usageError{fmt.Errorf("--spans %d: want 0 or more", w.Spans)}
			}
			style, err := o.style(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			trace, err := ask(cmd, &c, func(ctx context.Context, cl client.Client) (*span.Trace, error) { return cl.Trace(ctx, id) })
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case otlp:
				return errors.Join(span.WriteJSON(out, trace.Spans), writeLine(out))
			case json:
				return writeTraceJSON(out, trace)
			}
			summary := client.Summarize(trace)
			w.Zone = o.zone()
			return style.Waterfall(out, trace, &summary, w)
		},
	}
	c.add(cmd)
	o.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&w.Details, "details", false, "show attributes, events and links below each span")
	f.IntVar(&w.Spans, "spans", 2000, "how many spans to draw at most; 0 draws all")
	f.BoolVar(&json, "json", false, "write the spans as one JSON object instead")
	f.BoolVar(&otlp, "otlp", false, "write the trace as OTLP JSON instead, as exporters send it")
	cmd.MarkFlagsMutuallyExclusive("json", "otlp")
	return cmd
}

func writeLine(w io.Writer) error {
	_, err := io.WriteString(w, "\n")
	return err
}
