package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/span"
)

// queryFlags is a simple filter, for who does not want to write TraceQL.
type queryFlags struct {
	service, name, kind, status string
	least, most                 time.Duration
	attributes                  []string
	limit                       int
}

func (q *queryFlags) add(cmd *cobra.Command, c *connection) {
	f := cmd.Flags()
	f.StringVar(&q.service, "service", "", "spans of this service")
	f.StringVar(&q.name, "name", "", "spans of this name")
	f.StringVar(&q.kind, "span-kind", "", "spans of this kind: internal, server, client, producer or consumer")
	f.StringVar(&q.status, "status", "", "spans with this status: ok or error")
	f.DurationVar(&q.least, "min-duration", 0, "spans that took at least so long, such as 250ms")
	f.DurationVar(&q.most, "max-duration", 0, "spans that took at most so long")
	f.StringArrayVar(&q.attributes, "attr", nil, "spans with this attribute, of their own or of their resource: `key=value`, repeatable")
	_ = cmd.RegisterFlagCompletionFunc("span-kind", cobra.FixedCompletions([]string{"internal", "server", "client", "producer", "consumer"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions([]string{"ok", "error"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("service", c.completeServices)
}

// query is what the argument or else the flags say.
func (q *queryFlags) query(args []string) (client.Query, error) {
	f, err := q.filter()
	if err != nil {
		return client.Query{}, &usageError{err}
	}
	out := client.Query{Filter: f, Limit: q.limit}
	if len(args) == 1 {
		if f.TraceQL() != "{}" {
			return out, &usageError{errors.New("a TraceQL query and a filter by flags: give one of them")}
		}
		if out.TraceQL = strings.TrimSpace(args[0]); out.TraceQL == "" {
			return out, &usageError{errors.New("the query is empty: {} finds all traces")}
		}
	}
	if q.limit < 0 || q.limit > 10_000 {
		return out, &usageError{fmt.Errorf("--limit %d: want 1 to 10000", q.limit)}
	}
	return out, nil
}

func (q *queryFlags) filter() (client.Filter, error) {
	f := client.Filter{Service: q.service, Name: q.name, MinDuration: q.least, MaxDuration: q.most}
	if q.kind != "" {
		var ok bool
		if f.Kind, ok = span.ParseKind(q.kind); !ok || f.Kind == span.KindUnspecified {
			return f, fmt.Errorf("--span-kind %q: want internal, server, client, producer or consumer", q.kind)
		}
	}
	if q.status != "" {
		var ok bool
		if f.Status, ok = span.ParseStatus(q.status); !ok || f.Status == span.StatusUnset {
			return f, fmt.Errorf("--status %q: want ok or error", q.status)
		}
	}
	if q.least < 0 || q.most < 0 || q.most > 0 && q.least > q.most {
		return f, fmt.Errorf("--min-duration %s and --max-duration %s: no span is both", q.least, q.most)
	}
	for _, a := range q.attributes {
		key, value, ok := strings.Cut(a, "=")
		if !ok || key == "" {
			return f, fmt.Errorf("--attr %q: want key=value", a)
		}
		f.Attributes = append(f.Attributes, client.AttributeFilter{Key: key, Value: value})
	}
	return f, nil
}
