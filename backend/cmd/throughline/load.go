package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/load"
	"github.com/throughline/throughline/backend/terminal"
)

func loadCommand() *cobra.Command {
	var c load.Config
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Send requests to articles, so that there are traces",
		Long: `Send requests to the articles service: the list, single articles, with and without
suggestions, and a part of them for what is not there. It ends after --count requests or
after --duration, whichever comes first, and says how the service answered and how fast.

Only a service on this machine is asked, unless --remote allows another. Each flag has an
environment variable, which the flag wins over: --articles-url is THROUGHLINE_ARTICLES_URL.

Exit status: 0 when each request had an answer, whatever it was; 1 when one had none or
the service cannot be reached; 2 on wrong usage.`,
		Example: `  throughline load
  throughline load --count 1000 --rate 50 --concurrency 8
  throughline load --duration 10m --count 100000 --rate 20 --errors 0.2`,
		Args: cobra.NoArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return fromEnvironment(cmd.Flags(), os.LookupEnv)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Progress = progress(cmd.ErrOrStderr(), "sending")
			report, err := load.Run(cmd.Context(), c)
			if errors.Is(err, load.ErrConfig) {
				return &usageError{err}
			}
			if err != nil {
				return err
			}
			writeReport(cmd.OutOrStdout(), report)
			if report.Failed > 0 && cmd.Context().Err() == nil {
				return fmt.Errorf("%s without an answer, the first: %w", terminal.Count(report.Failed, "request"), report.Err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.URL, "articles-url", "http://localhost:8001", "the articles service")
	f.IntVar(&c.Count, "count", 200, fmt.Sprintf("how many requests at most, up to %d", load.MaxCount))
	f.DurationVar(&c.Duration, "duration", time.Minute, "how long to send at most")
	f.Float64Var(&c.Rate, "rate", 20, "requests a second; 0 is as fast as the answers come")
	f.IntVar(&c.Concurrency, "concurrency", 4, fmt.Sprintf("requests under way at most, up to %d", load.MaxConcurrency))
	f.Float64Var(&c.Errors, "errors", 0.1, "part of the requests that ask for what is not there")
	f.Uint64Var(&c.Seed, "seed", 1, "seed of the mix of requests")
	f.DurationVar(&c.Timeout, "timeout", 30*time.Second, "how long one answer may take")
	f.BoolVar(&c.Remote, "remote", false, "allow a service on another machine")
	return cmd
}

func writeReport(w io.Writer, r *load.Report) {
	perSecond := 0.0
	if r.Took > 0 {
		perSecond = float64(r.Sent) / r.Took.Seconds()
	}
	fmt.Fprintf(w, "%s in %s, %s a second\n", terminal.Count(r.Sent, "request"), terminal.Duration(r.Took), terminal.Number(perSecond))
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		parts = append(parts, fmt.Sprintf("%d × %d %s", r.Statuses[status], status, http.StatusText(status)))
	}
	if r.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d × no answer", r.Failed))
	}
	fmt.Fprintln(w, strings.Join(parts, ", "))
	if len(r.Latencies) > 0 {
		fmt.Fprintf(w, "p50 %s, p90 %s, p99 %s, max %s\n", terminal.Duration(r.Quantile(.5)), terminal.Duration(r.Quantile(.9)),
			terminal.Duration(r.Quantile(.99)), terminal.Duration(r.Latencies[len(r.Latencies)-1]))
	}
}
