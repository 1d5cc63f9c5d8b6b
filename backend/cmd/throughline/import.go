package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/terminal"
	"github.com/throughline/throughline/backend/tracefile"
)

func importCommand() *cobra.Command {
	var (
		i      importer
		format string
		dryRun bool
		data   string
		otlp   = otlpSink{}
	)
	cmd := &cobra.Command{
		Use:   "import [FILE…]",
		Short: "Send the traces of files to a receiver, or into a data directory",
		Long: `Read traces from files, or from the standard input, and send them to an OTLP receiver
(--otlp), or write them into a data directory that no server has open (--data).

Files hold OTLP in JSON, also one object a line, as "throughline export" and the file
exporter of the OpenTelemetry Collector write it; OTLP in protobuf, plain or each message
after its length; or the JSON of Jaeger's UI and API. Each may be compressed with gzip or
zstd. What a file holds is seen from its first bytes; --format says it otherwise.

Spans that cannot be (without an id, or from before the year 2000) are left out, and it
is said how many. The variables THROUGHLINE_OTLP, THROUGHLINE_OTLP_TOKEN and
THROUGHLINE_OTLP_HEADER stand for the flags of these names.

Exit status: 0 when all files were read and their spans taken or left out; 1 on an error,
after which what came before it is there; 2 on wrong usage.`,
		Example: `  throughline import traces.jsonl.zst
  throughline export --url http://other:16686 | throughline import
  throughline import --data ./offline jaeger-download.json
  throughline import --otlp https://collector.example:4318 traces.binpb`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if data != "" && cmd.Flags().Changed("otlp") {
				return &usageError{errors.New("--data and --otlp: give one of them")}
			}
			if err := fromEnvironment(otlp.flags, os.LookupEnv); err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if f, ok := in.(*os.File); len(args) == 0 && ok && term.IsTerminal(int(f.Fd())) {
				return &usageError{errors.New("no file is given, and the standard input is a terminal")}
			}
			switch i.options.Format = tracefile.Format(format); i.options.Format {
			case "", tracefile.OTLPJSON, tracefile.OTLPProto, tracefile.Jaeger:
			default:
				return &usageError{fmt.Errorf("--format %q: want otlp-json, otlp-proto or jaeger", format)}
			}
			switch {
			case dryRun:
				i.send = func(_ context.Context, spans []span.Span) (span.Rejected, error) {
					b := span.Batch{Spans: spans}
					b.Validate(time.Now())
					return b.Rejected, nil
				}
			case data != "":
				log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
				db, err := openStore(data, log, true)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, db.Close()) }()
				i.send = func(ctx context.Context, spans []span.Span) (span.Rejected, error) {
					_, rejected, err := db.AppendRequest(ctx, string(span.EncodeProto(spans)))
					return rejected, err
				}
			default:
				if err := otlp.open(); err != nil {
					return err
				}
				defer otlp.close()
				i.send = otlp.send
			}
			err = i.all(cmd.Context(), args, in)
			what := "imported"
			if dryRun {
				what = "read"
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s %s\n", what, terminal.Count(i.sent, "span"))
			if i.rejected.Count > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "left out %s: %s\n", terminal.Count(i.rejected.Count, "span"), terminal.Text(i.rejected.String()))
			}
			return err
		},
	}
	otlp.add(cmd)
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "data directory to write into, when no server has it open; it is made when it is not there")
	f.StringVar(&format, "format", "", "what the files hold: otlp-json, otlp-proto or jaeger (default: seen from their first bytes)")
	f.BoolVar(&dryRun, "dry-run", false, "read and judge the files only")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"otlp-json", "otlp-proto", "jaeger"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// importer reads files and sends their spans in requests of a bounded size.
type importer struct {
	options  tracefile.Options
	send     func(context.Context, []span.Span) (span.Rejected, error)
	sent     int
	rejected span.Rejected
	waiting  []span.Span
	bytes    int // of waiting, nearly
}

// The size of a request.
const (
	requestSpans = 1000
	requestBytes = 2 << 20
)

func (i *importer) all(ctx context.Context, files []string, stdin io.Reader) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		if err := i.file(ctx, name, stdin); err != nil {
			return errors.Join(fmt.Errorf("importing %q: %w", name, err), i.flush(ctx))
		}
	}
	return i.flush(ctx)
}

func (i *importer) file(ctx context.Context, name string, stdin io.Reader) error {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return errors.Unwrap(err) // the name is said already
		}
		defer f.Close()
		in = f
	}
	return tracefile.Read(in, i.options, func(b *span.Batch) error {
		i.rejected.Merge(&b.Rejected)
		for _, s := range b.Spans {
			i.waiting = append(i.waiting, s)
			i.bytes += len(s.AppendProto(nil))
			if len(i.waiting) >= requestSpans || i.bytes >= requestBytes {
				if err := i.flush(ctx); err != nil {
					return err
				}
			}
		}
		return ctx.Err()
	})
}

func (i *importer) flush(ctx context.Context) error {
	if len(i.waiting) == 0 {
		return nil
	}
	rejected, err := i.send(ctx, i.waiting)
	if err == nil {
		i.sent += len(i.waiting) - rejected.Count
		i.rejected.Merge(&rejected)
	}
	clear(i.waiting)
	i.waiting, i.bytes = i.waiting[:0], 0
	return err
}
