// Command tracegen writes a wrapper of a Go interface that runs every method in
// an OpenTelemetry span.
//
//	//go:generate go tool tracegen -iface Service
//
// writes service_trace.go beside the file with this line. The wrapper is plain
// Go that reads as if written by hand; it is checked in and reviewed. Comments
// on the interface's methods, such as //trace:attr article.id=id, say what is
// special about a method; the README has them all. An expression in a comment
// is type-checked when the wrapper is generated, and again each time it is
// compiled.
//
// With -check, or TRACEGEN_CHECK=1 in the environment, nothing is written: a
// file that is not what it would be now is an error.
//
// Exit codes: 0 is success, 1 an error or a stale file, 2 a wrong command line.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/throughline/throughline/tracing/go/tracegen/internal/gen"
)

func main() {
	os.Exit(exitCode(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

// errUsage is wrapped by errors in the command line.
var errUsage = errors.New("run tracegen -h for help")

func exitCode(err error, stderr io.Writer) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "tracegen: %s\n", strings.TrimSuffix(line, "\n"))
	}
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

const usage = `usage: tracegen -iface NAME[,NAME...] [flags] [directory]

Tracegen writes a wrapper that runs every method of an interface in a span:

	//go:generate go tool tracegen -iface Service

The wrapper is made by TraceService(next, provider); it is next itself when
tracing is off. The directory is that of the package which gets the output, by
default the current one.

Flags:
`

// run is the whole command.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts, check, err := parse(args, stdout)
	if err != nil {
		return err
	}
	file, err := gen.Generate(ctx, opts)
	if err != nil {
		return err
	}
	for _, w := range file.Warnings {
		fmt.Fprintf(stderr, "%s: warning: %s\n", w.Pos, w.Msg)
	}
	if check {
		return compare(file, opts.WorkDir)
	}
	return write(file)
}

// parse reads the command line and what go generate adds to it. Help goes to
// stdout.
func parse(args []string, stdout io.Writer) (opts gen.Options, check bool, err error) {
	flags := flag.NewFlagSet("tracegen", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	ifaces := flags.String("iface", "", "`names` of interfaces to wrap, separated by commas; one of another\npackage with its import path: example.com/store.Store")
	structs := flags.String("struct", "", "`names` of structs: an interface of their exported methods is written too,\ncalled ClientAPI for Client, or as in Client=Store")
	flags.StringVar(&opts.Out, "out", "", "`file` to write in the directory (default: first name in lower case, _trace.go)")
	flags.StringVar(&opts.Func, "func", "", "`name` of the constructor (default: Trace and the interface's name)")
	flags.StringVar(&opts.Tags, "tags", "", "build `tags`, separated by commas")
	flags.BoolVar(&opts.RecordErrors, "record-errors", false, "record errors as exception events too")
	flags.StringVar(&opts.Fail, "fail", "", "`function` of a trace.Span and an error to call when a method fails, such as\nexample.com/telemetry.Fail, in place of setting status and error.type")
	always, _ := strconv.ParseBool(os.Getenv("TRACEGEN_CHECK"))
	flags.BoolVar(&check, "check", always, "write nothing; fail if the file is missing or stale")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, usage)
			flags.SetOutput(stdout)
			flags.PrintDefaults()
			return opts, false, err
		}
		return opts, false, fmt.Errorf("%w\n%w", err, errUsage)
	}
	opts.Interfaces, opts.Structs = list(*ifaces), list(*structs)
	if flags.NArg() > 1 {
		return opts, false, fmt.Errorf("one directory, not %q\n%w", flags.Args(), errUsage)
	}
	if len(opts.Interfaces) == 0 && len(opts.Structs) == 0 {
		return opts, false, fmt.Errorf("neither -iface nor -struct given\n%w", errUsage)
	}
	opts.Dir = "."
	if flags.NArg() == 1 {
		opts.Dir = flags.Arg(0)
	} else if source := os.Getenv("GOFILE"); source != "" {
		// Under go generate, the file with the directive says which of the
		// directory's packages is meant.
		opts.Package = os.Getenv("GOPACKAGE")
		opts.Test = strings.HasSuffix(source, "_test.go")
	}
	opts.WorkDir, err = os.Getwd()
	return opts, check, err
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// compare returns an error if the file on disk is not what was generated.
func compare(file *gen.File, wd string) error {
	name := file.Name
	if rel, err := filepath.Rel(wd, name); err == nil {
		name = rel
	}
	old, err := os.ReadFile(file.Name)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is missing: run go generate", name)
	}
	if err != nil {
		return err
	}
	old = bytes.ReplaceAll(old, []byte("\r\n"), []byte("\n")) // as a checkout on Windows has it
	if bytes.Equal(old, file.Source) {
		return nil
	}
	have, want := strings.Split(string(old), "\n"), strings.Split(string(file.Source), "\n")
	line := 0
	for line < len(have) && line < len(want) && have[line] == want[line] {
		line++
	}
	return fmt.Errorf("%s is stale from line %d: run go generate", name, line+1)
}

// write replaces the file in one step, unless it is right already.
func write(file *gen.File) error {
	if old, err := os.ReadFile(file.Name); err == nil && bytes.Equal(old, file.Source) {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(file.Name), ".tracegen-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(file.Source)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err != nil {
		return fmt.Errorf("writing %q: %w", file.Name, err)
	}
	return os.Rename(tmp.Name(), file.Name)
}
