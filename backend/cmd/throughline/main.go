// Command throughline is the tracing backend in one binary: it receives OTLP,
// keeps traces, answers queries and serves the web UI. `throughline up` runs it
// together with the two example services of the checkout.
//
// Errors are printed once, on stderr, as "throughline: …". The exit status is 0
// on success and when a signal ended the command, 1 on an error, 2 on wrong
// usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	if status, ok := errors.AsType[exitStatus](err); ok {
		os.Exit(int(status))
	}
	fmt.Fprintf(os.Stderr, "throughline: %v\n", err)
	if isUsage(err) {
		os.Exit(2)
	}
	os.Exit(1)
}

// run is the whole program; it returns when the command is done or ctx ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	root := &cobra.Command{
		Use:           "throughline",
		Short:         "Distributed tracing for Go and Python services, from one binary",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"run", "Run it:", []*cobra.Command{upCommand(), serveCommand(), mocksCommand(), loadCommand()}},
		{"read", "Read traces of a Throughline, Tempo or Jaeger server:", []*cobra.Command{
			searchCommand(), traceCommand(), tailCommand(), metricsCommand(), servicesCommand(), operationsCommand(), mcpCommand(),
		}},
		{"move", "Take traces along:", []*cobra.Command{exportCommand(), importCommand()}},
		{"", "", []*cobra.Command{versionCommand(), manCommand(), healthCommand(), guardCommand()}},
	} {
		if g.id != "" {
			root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		}
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help")}
	})
	return root.ExecuteContext(ctx)
}

// usageError is a fault of the command line, as opposed to one of the work.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitStatus is an end that has been told already, or is not this program's to tell.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func isUsage(err error) bool {
	if _, ok := errors.AsType[*usageError](err); ok {
		return true
	}
	// Cobra has no types for these.
	text := err.Error()
	return strings.HasPrefix(text, "unknown command ") || strings.Contains(text, " arg(s), ") || strings.HasPrefix(text, "if any flags in the group ")
}
