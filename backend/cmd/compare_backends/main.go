// Command compare_backends asks two servers the same questions and tells where
// their answers differ: two of Tempo's API, or two of Jaeger's.
//
//	compare_backends tempo  http://localhost:16686/tempo http://localhost:3200
//	compare_backends jaeger http://localhost:16686 http://localhost:26686
//
// With --send it first sends both the same spans: the golden traces of the checkout
// and generated ones, the same for the same --seed and --at. It is meant for servers
// that hold nothing else; without --send they are to hold those already.
//
// Answers are compared without their order and without what a search took. Numbers
// are equal, but quantiles may be one of Tempo's buckets apart. What is known to
// differ is in a list of differences, each with its reason. The exit status is 0
// when there are no others, 1 when there are, or on an error, and 2 on wrong usage.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/span"
)

//go:embed queries/tempo.txt
var tempoQueries string

//go:embed queries/jaeger.txt
var jaegerQueries string

//go:embed queries/differences.txt
var knownDifferences string

var (
	errUsage     = errors.New("usage: compare_backends [flags] tempo|jaeger URL URL")
	errDifferent = errors.New("the answers differ")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp), errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "compare_backends: %v\n", err)
		os.Exit(1)
	}
}

type settings struct {
	kind    string
	servers [2]string
	grpc    []string
	random  int
	verbose bool
	known   []known
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("compare_backends", flag.ContinueOnError)
	flags.SetOutput(stderr)
	send := flags.String("send", "", "OTLP/HTTP `URLs` of both servers, with a comma between them, to send the spans to")
	at := flags.String("at", "", "`time` of the spans in RFC 3339, cut to ten seconds (default 80 seconds ago)")
	golden := flags.String("golden", "testdata/traces", "`directory` of traces in OTLP JSON; empty is none")
	traces := flags.Int("traces", 60, "how many traces are generated")
	seed := flags.Uint64("seed", 1, "of the generated traces and queries")
	queries := flags.String("queries", "", "`file` of queries, one a line (default the list that comes with the program)")
	random := flags.Int("random", 0, "how many random TraceQL queries to ask too")
	allow := flags.String("known", "", "`file` of known differences: REQUEST :: DIFFERENCE :: REASON, both of the first regular expressions (default the list that comes with the program)")
	rpc := flags.String("grpc", "", "`addresses` of Jaeger's query service of both, with a comma between them, to ask what is asked of v3 by gRPC too")
	verbose := flags.Bool("v", false, "show the requests whose answers are equal, and known differences")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() != 3 || flags.Arg(0) != "tempo" && flags.Arg(0) != "jaeger" {
		return errUsage
	}
	s := settings{kind: flags.Arg(0), servers: [2]string{flags.Arg(1), flags.Arg(2)}, random: *random, verbose: *verbose}
	if *rpc != "" {
		if s.grpc = strings.Split(*rpc, ","); len(s.grpc) != 2 {
			return fmt.Errorf("%w: --grpc wants two addresses", errUsage)
		}
	}
	start := time.Now().Add(-80 * time.Second) // Tempo takes spans of more than two minutes ago for ones of now
	if *at != "" {
		var err error
		if start, err = time.Parse(time.RFC3339, *at); err != nil {
			return fmt.Errorf("%w: --at: %w", errUsage, err)
		}
	}
	c, err := makeCorpus(start.Truncate(10*time.Second).UTC(), *golden, *traces, *seed)
	if err != nil {
		return err
	}
	list := map[string]string{"tempo": tempoQueries, "jaeger": jaegerQueries}[s.kind]
	lines, err := readFile(*queries, list)
	if err != nil {
		return err
	}
	if s.known, err = readKnown(*allow); err != nil {
		return err
	}
	if *send != "" {
		to := strings.Split(*send, ",")
		if len(to) != 2 {
			return fmt.Errorf("%w: --send wants two URLs", errUsage)
		}
		for i := range to {
			if err := c.sendTo(ctx, to[i]); err != nil {
				return err
			}
		}
		fmt.Fprintf(stderr, "sent %d traces at %s; waiting until both servers have them\n", len(c.ids), c.start.Format(time.RFC3339))
		if err := s.wait(ctx, c); err != nil {
			return err
		}
	}
	var requests []request
	for _, line := range lines {
		requests = append(requests, c.requests(line)...)
	}
	g := generator{rand.New(rand.NewPCG(*seed, 2))}
	for range s.random {
		requests = append(requests, c.requests(g.query())...)
	}
	return s.compare(ctx, requests, stdout)
}

func (c *corpus) sendTo(ctx context.Context, base string) error {
	for _, spans := range c.spans {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+"/v1/traces", bytes.NewReader(span.EncodeProto(spans)))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-protobuf")
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("sending spans to %s: %s: %.200s %w", base, resp.Status, body, err)
		}
		if n, why, err := span.ReadExportResponse(string(body)); err != nil || n > 0 {
			return fmt.Errorf("sending spans to %s: %d were refused: %s %w", base, n, why, err)
		}
	}
	return nil
}

// waitTime bounds how long servers may take to show what they were sent.
const waitTime = 3 * time.Minute

// wait returns when both servers show every trace and their answers have not
// changed for some seconds.
func (s *settings) wait(ctx context.Context, c *corpus) error {
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	probes := c.requests("{ }")
	if s.kind == "jaeger" {
		probes = c.requests("/api/traces/{traceID}")
	}
	for _, server := range s.servers {
		for before, calm := "", 0; calm < 3; {
			missing := len(c.ids)
			var now strings.Builder
			for _, p := range probes {
				a, err := get(ctx, server, p.path)
				if err != nil {
					return fmt.Errorf("waiting for %d traces of %s: %w", missing, server, err)
				}
				now.WriteString(a.body)
			}
			for _, id := range c.ids {
				if strings.Contains(now.String(), strings.TrimLeft(id.String(), "0")) {
					missing--
				}
			}
			size := fmt.Sprint(strings.Count(now.String(), `"spanID"`))
			if missing > 0 || size != before {
				before, calm = size, 0
			}
			calm++
			select {
			case <-ctx.Done():
				return fmt.Errorf("waiting for %d traces of %s: %w", missing, server, ctx.Err())
			case <-time.After(time.Second):
			}
		}
	}
	return nil
}

// known is a difference that has a reason.
type known struct {
	request, difference *regexp.Regexp
	reason              string
}

func readKnown(file string) ([]known, error) {
	lines, err := readFile(file, knownDifferences)
	if err != nil {
		return nil, err
	}
	var out []known
	for _, line := range lines {
		parts := strings.Split(line, " :: ")
		if len(parts) != 3 {
			return nil, fmt.Errorf("known difference %q: want REQUEST :: DIFFERENCE :: REASON", line)
		}
		k := known{reason: parts[2]}
		if k.request, err = regexp.Compile(parts[0]); err != nil {
			return nil, fmt.Errorf("known difference %q: %w", line, err)
		}
		if k.difference, err = regexp.Compile(parts[1]); err != nil {
			return nil, fmt.Errorf("known difference %q: %w", line, err)
		}
		out = append(out, k)
	}
	return out, nil
}

// shownDifferences of one request are enough to see what is wrong.
const shownDifferences = 6

func (s *settings) compare(ctx context.Context, requests []request, stdout io.Writer) error {
	equal, refused, expected, different := 0, 0, 0, 0
	if s.grpc != nil {
		for _, r := range slices.Clone(requests) {
			if r.grpc = true; strings.HasPrefix(r.path, "/api/v3/") {
				r.line = "gRPC " + r.line
				requests = append(requests, r)
			}
		}
	}
	for _, r := range requests {
		var answers [2]*answer
		for i, server := range s.servers {
			var err error
			if r.grpc {
				answers[i], err = call(ctx, s.grpc[i], r.path)
			} else {
				answers[i], err = get(ctx, server, r.path)
			}
			if err != nil {
				return err
			}
		}
		all := compare(answers[0], answers[1], r.factor)
		var reasons []string
		left := slices.DeleteFunc(slices.Clone(all), func(d difference) bool {
			i := slices.IndexFunc(s.known, func(k known) bool { return k.request.MatchString(r.line) && k.difference.MatchString(d.String()) })
			if i >= 0 && !slices.Contains(reasons, s.known[i].reason) {
				reasons = append(reasons, s.known[i].reason)
			}
			return i >= 0
		})
		switch {
		case len(left) > 0:
			different++
			fmt.Fprintf(stdout, "DIFFERENT %s\n", r.line)
			for i, d := range left {
				if i == shownDifferences {
					fmt.Fprintf(stdout, "  … and %d more\n", len(left)-i)
					break
				}
				fmt.Fprintf(stdout, "  %s\n", d)
			}
		case len(all) > 0:
			expected++
			if s.verbose {
				fmt.Fprintf(stdout, "known     %s\n  %s\n", r.line, strings.Join(reasons, "\n  "))
			}
		case answers[0].status >= 400:
			refused++
			if s.verbose {
				fmt.Fprintf(stdout, "refused   %s\n  %s\n  %s\n", r.line, answers[0].said(), answers[1].said())
			}
		default:
			equal++
			if s.verbose {
				fmt.Fprintf(stdout, "equal     %s (%d values)\n", r.line, len(answers[0].values))
			}
		}
	}
	fmt.Fprintf(stdout, "%d requests: %d equal, %d refused by both, %d with known differences, %d different\n", len(requests), equal, refused, expected, different)
	if different > 0 {
		return errDifferent
	}
	return nil
}
