package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/server"
	"github.com/throughline/throughline/backend/system"
)

func upCommand() *cobra.Command {
	var (
		offset  int
		data    string
		ports   system.Ports
		backend string
	)
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the backend and the example services of this checkout",
		Long: `Run the whole example system in the foreground: the backend in this process,
articles and suggestions beside it. What is missing is made first: the articles
binary, the Python environment .venv, the mock data. Everything listens on
127.0.0.1. Ctrl-C stops all of it. Traces are kept in .throughline/data of the
checkout, and are still there the next time; -OFFSET is appended with --port-offset.

The services inherit this command's environment, so their own settings
(SUGGESTIONS_CONCURRENCY, TRACING_DETAIL, OTEL_…) can be given here.

With --backend they send their spans to a Jaeger, a Tempo, a Collector or
anything else that takes OTLP, and no backend is run here. Where
TRACING_BACKEND_URL is set without it, they send there and the backend runs
beside them: name it too to have the spans in both.`,
		Example: `  throughline up
  throughline up --port-offset 1000
  throughline up --backend localhost:14317
  TRACING_BACKEND_URL=localhost:4317,tempo:4317 throughline up
  TRACING_DETAIL=lean throughline up --articles-port 9001`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checkout, err := system.FindCheckout(".")
			if err != nil {
				return err
			}
			self, err := system.Self()
			if err != nil {
				return err
			}
			moved := system.DefaultPorts(offset)
			for _, p := range []struct {
				flag       string
				set, moved *int
			}{
				{"ui-port", &ports.UI, &moved.UI},
				{"otlp-grpc-port", &ports.OTLPGRPC, &moved.OTLPGRPC},
				{"otlp-http-port", &ports.OTLPHTTP, &moved.OTLPHTTP},
				{"jaeger-grpc-port", &ports.JaegerGRPC, &moved.JaegerGRPC},
				{"articles-port", &ports.Articles, &moved.Articles},
				{"suggestions-port", &ports.Suggestions, &moved.Suggestions},
			} {
				if cmd.Flags().Changed(p.flag) {
					*p.moved = *p.set
				}
			}
			if data == "" {
				data = checkout.DataDir(offset)
			}
			return system.Run(cmd.Context(), system.Config{
				Checkout: checkout,
				Ports:    moved,
				Data:     data,
				Self:     self,
				Backend:  backend,
				Environ:  os.Environ(),
				Version:  version(),
				Out:      cmd.OutOrStdout(),
			})
		},
	}
	d := system.DefaultPorts(0)
	f := cmd.Flags()
	f.StringVar(&backend, "backend", "", "where the services send spans: host:port or URL of an OTLP receiver, several with commas between; runs no backend here")
	f.IntVar(&offset, "port-offset", 0, "add this to every port that is not set by its own flag")
	f.StringVar(&data, "data", "", "directory that spans are kept in, or "+server.MemoryData+" (default .throughline/data of the checkout)")
	f.IntVar(&ports.UI, "ui-port", d.UI, "port of the UI and the APIs")
	f.IntVar(&ports.OTLPGRPC, "otlp-grpc-port", d.OTLPGRPC, "port of OTLP over gRPC")
	f.IntVar(&ports.OTLPHTTP, "otlp-http-port", d.OTLPHTTP, "port of OTLP over HTTP")
	f.IntVar(&ports.JaegerGRPC, "jaeger-grpc-port", d.JaegerGRPC, "port of Jaeger's query service over gRPC")
	f.IntVar(&ports.Articles, "articles-port", d.Articles, "port of articles")
	f.IntVar(&ports.Suggestions, "suggestions-port", d.Suggestions, "port of suggestions")
	return cmd
}

// guardCommand is run by `up`, once for each service, never by a person.
func guardCommand() *cobra.Command {
	return &cobra.Command{
		Use:    system.GuardCommand,
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			code, err := system.Guard(args, system.StopGrace)
			if err != nil {
				return err
			}
			if code != 0 {
				return exitStatus(code)
			}
			return nil
		},
	}
}
