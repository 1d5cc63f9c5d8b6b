package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/client"
)

// timeRange is the flags of a range of time.
type timeRange struct {
	from, to string
	last     time.Duration
}

func (r *timeRange) add(cmd *cobra.Command, byDefault string) {
	f := cmd.Flags()
	f.StringVar(&r.from, "from", "", "start of the range: a time such as 2026-01-02T15:04:05Z, unix nanoseconds, or 1h for an hour ago (default: "+byDefault+")")
	f.StringVar(&r.to, "to", "", "end of the range, likewise (default: now)")
	f.DurationVar(&r.last, "last", 0, "the range of so long until now, such as 30m or 24h")
	cmd.MarkFlagsMutuallyExclusive("last", "from")
	cmd.MarkFlagsMutuallyExclusive("last", "to")
}

// bounds are zero where nothing was said.
func (r *timeRange) bounds(now time.Time) (start, end time.Time, err error) {
	if r.last < 0 {
		return start, end, &usageError{fmt.Errorf("--last %s: want more than 0", r.last)}
	}
	if r.last > 0 {
		return now.Add(-r.last), now, nil
	}
	if start, err = client.ParseMoment(r.from, now); err != nil {
		return start, end, &usageError{fmt.Errorf("--from %w", err)}
	}
	if end, err = client.ParseMoment(r.to, now); err != nil {
		return start, end, &usageError{fmt.Errorf("--to %w", err)}
	}
	if !end.IsZero() && start.After(end) {
		return start, end, &usageError{errors.New("--from is after --to")}
	}
	return start, end, nil
}
