package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/span"
)

func exportCommand() *cobra.Command {
	var (
		c                      connection
		r                      timeRange
		service, trace, output string
		format                 string
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write traces as OTLP or as Jaeger's JSON",
		Long: `Write stored traces as OTLP JSON, one TracesData a line: what was received, with
every resource, scope, attribute, event and link, order and duplicates aside. Each
line can be sent to an OTLP receiver as a request of its own. --format otlp-proto writes
them as one TracesData in protobuf, --format jaeger as a file that Jaeger's UI opens,
which knows no more than microseconds. "throughline import" reads all of them.

The traces are those of a running server (--url), or of a data directory that no
server has open (--data). A trace is exported whole when it overlaps --from to --to
and a span of it is of --service. A Tempo or Jaeger server is searched for them, which
finds 10000 at most.` + serverHelp + environmentHelp,
		Example: `  throughline export --output traces.jsonl.zst
  throughline export --service articles-service --from 1h | jq .
  throughline export --data ~/.local/share/throughline --trace 5b8efff798038103d269b633813fc60c
  throughline export --url http://localhost:3200 --last 2h --format jaeger -o jaeger.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := client.ExportQuery{Service: service}
			var err error
			if q.Start, q.End, err = r.bounds(time.Now()); err != nil {
				return err
			}
			if trace != "" {
				if q.TraceID, err = span.ParseTraceID(trace); err != nil {
					return &usageError{fmt.Errorf("--trace %q: %w", trace, err)}
				}
			}
			convert, ok := conversions[format]
			if !ok {
				return &usageError{fmt.Errorf("--format %q: want otlp-json, otlp-proto or jaeger", format)}
			}
			return writeTo(output, cmd.OutOrStdout(), func(w io.Writer) error {
				cl, end, err := c.open(cmd.Context(), cmd)
				if err != nil {
					return err
				}
				err = convert(w, func(w io.Writer) error { return exportLines(cmd.Context(), cl, q, w, cmd.ErrOrStderr()) })
				return errors.Join(err, end())
			})
		},
	}
	c.add(cmd)
	r.add(cmd, "all that a Throughline server has, the last 24 hours of others")
	f := cmd.Flags()
	f.StringVar(&service, "service", "", "traces with a span of this service")
	f.StringVar(&trace, "trace", "", "the trace with this id")
	f.StringVar(&format, "format", "otlp-json", "what to write: otlp-json, otlp-proto or jaeger")
	f.StringVarP(&output, "output", "o", "-", "file to write, compressed when its name ends in .gz or .zst; - is the standard output")
	_ = cmd.RegisterFlagCompletionFunc("service", c.completeServices)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"otlp-json", "otlp-proto", "jaeger"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// exportLines writes OTLP JSON. What was written before the bound was reached is
// whole, so that it is kept and the bound told.
func exportLines(ctx context.Context, cl client.Client, q client.ExportQuery, w, stderr io.Writer) error {
	err := client.Export(ctx, cl, q, w)
	if errors.Is(err, client.ErrExportBound) {
		fmt.Fprintf(stderr, "throughline: %v\n", err)
		return nil
	}
	return err
}
