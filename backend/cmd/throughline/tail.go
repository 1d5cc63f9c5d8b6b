package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/terminal"
)

func tailCommand() *cobra.Command {
	c := connection{withoutData: true}
	var (
		o     output
		q     queryFlags
		json  bool
		count int
	)
	cmd := &cobra.Command{
		Use:   "tail [TRACEQL]",
		Short: "Show traces as they arrive",
		Long: `Show each trace that fits as it arrives, one on a line, until Ctrl-C or until --count of
them were shown. A trace comes in pieces: it is shown once no more of it has arrived for
a second, or ten seconds after its first piece. One that grows later is shown again.

The query is as for "throughline search". A Throughline server tells at once of what
arrives; a Tempo or Jaeger server is asked once a second, and what arrives there later
than two minutes after the trace began is missed.` + serverHelp + environmentHelp,
		Example: `  throughline tail
  throughline tail '{ status = error }'
  throughline tail --service articles-service --min-duration 100ms
  throughline tail --json | jq -r .traceId`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := q.query(args)
			if err != nil {
				return err
			}
			if count < 0 {
				return &usageError{fmt.Errorf("--count %d: want 0 or more", count)}
			}
			style, err := o.style(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			cl, end, err := c.open(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			show := newTailLines(cmd.OutOrStdout(), style, o.zone())
			if json {
				show = func(m *client.Match) error { return writeJSON(cmd.OutOrStdout(), matchOf(m)) }
			}
			return errors.Join(explain(query.TraceQL, tail(cmd.Context(), cl, query, count, show)), end())
		},
	}
	c.add(cmd)
	q.add(cmd, &c)
	o.add(cmd)
	f := cmd.Flags()
	f.IntVar(&count, "count", 0, "end after so many traces; 0 goes on")
	f.BoolVar(&json, "json", false, "write each trace as a JSON object on a line")
	return cmd
}

// How long a trace waits for more of it.
const (
	settleAfter = time.Second
	settleMost  = 10 * time.Second
)

// waiting is a trace that is not shown yet.
type waiting struct {
	match       client.Match
	first, last time.Time
}

// tail shows what arrives, each trace when it has settled.
func tail(ctx context.Context, cl client.Client, q client.Query, count int, show func(*client.Match) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var order []span.TraceID
	held := map[span.TraceID]*waiting{}
	ended := make(chan error, 1)
	go func() {
		ended <- cl.Tail(ctx, q, func(m client.Match) error {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			w := held[m.TraceID]
			if w == nil {
				w = &waiting{first: now}
				held[m.TraceID] = w
				order = append(order, m.TraceID)
			}
			w.match, w.last = m, now
			return nil
		})
	}()
	settled := func(all bool) (ready []client.Match) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		rest := order[:0]
		for _, id := range order {
			w := held[id]
			if all || now.Sub(w.last) >= settleAfter || now.Sub(w.first) >= settleMost {
				ready = append(ready, w.match)
				delete(held, id)
				continue
			}
			rest = append(rest, id)
		}
		order = rest
		return ready
	}
	shown := 0
	flush := func(all bool) error {
		for _, m := range settled(all) {
			if err := show(&m); err != nil {
				return err
			}
			if shown++; shown == count {
				return errEnough
			}
		}
		return nil
	}
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	for {
		select {
		case err := <-ended:
			return notEnough(errors.Join(flush(true), err))
		case <-ticks.C:
			if err := flush(false); err != nil {
				cancel()
				<-ended
				return notEnough(err)
			}
		}
	}
}

var errEnough = errors.New("enough")

func notEnough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// newTailLines shows traces as lines of fixed columns, as more come when they are
// written.
func newTailLines(w io.Writer, style terminal.Style, zone *time.Location) func(*client.Match) error {
	services := style.Services()
	return func(m *client.Match) error {
		name := m.RootName
		if !m.HasRoot {
			name += " (no root yet)"
		}
		errs := "        "
		if m.ErrorCount > 0 {
			errs = style.Red(fmt.Sprintf("%8s", "✗ "+fmt.Sprint(m.ErrorCount)))
		}
		_, err := fmt.Fprintf(w, "%s  %s  %8s  %9s%s  %s: %s\n",
			terminal.Time(m.StartTime, zone), style.Dim(m.TraceID.String()), durationText(m), terminal.Count(m.SpanCount, "span"), errs,
			services.Paint(m.RootService, terminal.Text(m.RootService)), terminal.Text(name))
		return err
	}
}
