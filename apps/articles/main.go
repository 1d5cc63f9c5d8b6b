// Command articles serves articles over HTTP, with suggestions of the suggestions service, traced by OpenTelemetry.
//
// Run it with -help for its flags and their environment variables; every OTEL_* variable holds too. `articles health`
// asks a running one, with the same settings, whether it takes requests: the image has no other program to ask with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/throughline/throughline/apps/articles/articles"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	switch err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, articles.ErrUsage):
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "articles: %v\n", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. Logs go to stdout, as JSON.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	health := len(args) > 0 && args[0] == "health"
	if health {
		args = args[1:]
	}
	cfg, err := articles.ParseConfig(args, getenv, stderr)
	if errors.Is(err, articles.ErrUsage) || errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err != nil {
		// A fault of the data is said together with those of the settings.
		_, dataErr := articles.Load(cfg.DataSource)
		return errors.Join(err, dataErr)
	}
	if health {
		return articles.CheckReady(ctx, cfg)
	}
	logger := slog.New(articles.NewLogHandler(stdout, cfg.LogLevel))
	return articles.Run(ctx, cfg, logger, nil)
}
