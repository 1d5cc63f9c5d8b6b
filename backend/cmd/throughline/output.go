package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/throughline/throughline/backend/terminal"
)

// output is the flags that say how a command writes what it found.
type output struct {
	color string
	utc   bool
}

func (o *output) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.color, "color", "auto", "colours: auto (in a terminal, unless NO_COLOR is set), always or never")
	cmd.Flags().BoolVar(&o.utc, "utc", false, "write times in UTC instead of local time")
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
}

func (o *output) zone() *time.Location {
	if o.utc {
		return time.UTC
	}
	return time.Local
}

// style is that of a terminal. What is not one gets no colours and lines of any
// length, unless COLUMNS says otherwise.
func (o *output) style(w io.Writer) (terminal.Style, error) {
	var s terminal.Style
	file, isFile := w.(*os.File)
	isTerminal := isFile && term.IsTerminal(int(file.Fd()))
	if isTerminal {
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil {
			s.Width = columns
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 && n < 10_000 {
		s.Width = n
	}
	switch o.color {
	case "auto":
		s.Color = isTerminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	case "always":
		s.Color = true
	case "never":
	default:
		return s, &usageError{fmt.Errorf("--color %q: want auto, always or never", o.color)}
	}
	return s, nil
}

// writeJSON writes one value on one line.
func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// failure is the flags that make a script's condition of what was found.
type failure struct {
	ifFound, ifEmpty bool
}

func (f *failure) add(cmd *cobra.Command, some, none string) {
	cmd.Flags().BoolVar(&f.ifFound, "fail-if-found", false, "exit with status 1 when there is "+some)
	cmd.Flags().BoolVar(&f.ifEmpty, "fail-if-empty", false, "exit with status 1 when there is "+none)
	cmd.MarkFlagsMutuallyExclusive("fail-if-found", "fail-if-empty")
}

func (f *failure) check(found int, what string) error {
	switch {
	case f.ifFound && found > 0:
		return fmt.Errorf("found %s", terminal.Count(found, what))
	case f.ifEmpty && found == 0:
		return errors.New("found no " + what)
	}
	return nil
}
