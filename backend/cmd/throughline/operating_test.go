package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "rewrite the expected files")

const operating = "../../../docs/operating.md"

// The manual has every flag of serve, with its variable, default and meaning.
func TestOperatingHasEveryFlag(t *testing.T) {
	text, err := os.ReadFile(operating)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| Flag | Variable | Default | Meaning |\n|---|---|---|---|\n")
	serveCommand().Flags().VisitAll(func(f *pflag.Flag) {
		value := f.DefValue
		switch value {
		case "", "[]", "0", "0s":
			value = ""
		default:
			value = "`" + value + "`"
		}
		fmt.Fprintf(&table, "| `--%s` | `%s` | %s | %s |\n", f.Name, variable(f.Name), value, strings.ReplaceAll(f.Usage, "|", `\|`))
	})
	between := regexp.MustCompile(`(?s)(<!-- serve: [^\n]*-->\n).*?(<!-- /serve -->)`)
	want := between.ReplaceAllString(string(text), "${1}"+strings.ReplaceAll(table.String(), "$", "$$")+"${2}")
	if *update {
		if err := os.WriteFile(operating, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s does not have the flags of serve as they are: go test ./backend/cmd/throughline -update\n%s", operating, table.String())
	}
}

// Every flag, variable and metric that the manual speaks of exists.
func TestOperatingNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile(operating)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"--data-binary": true} // curl's
	for _, command := range []*pflag.FlagSet{serveCommand().Flags(), exportCommand().Flags(), upCommand().Flags()} {
		command.VisitAll(func(f *pflag.Flag) {
			known["--"+f.Name], known[variable(f.Name)] = true, true
		})
	}
	for _, name := range regexp.MustCompile(`--[a-z][a-z-]+|THROUGHLINE_[A-Z_]+`).FindAllString(string(text), -1) {
		if !known[name] {
			t.Errorf("%s speaks of %s, which is no flag or variable", operating, name)
		}
	}
	source, err := os.ReadFile("../../server/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	// A short name goes on from the first of its cell.
	for _, line := range strings.Split(string(text), "\n") {
		prefix := ""
		for _, name := range regexp.MustCompile("`(throughline_[a-z_]+|_[a-z_]+)(?:`| )").FindAllStringSubmatch(line, -1) {
			full := strings.TrimPrefix(name[1], "throughline_")
			if full == name[1] {
				full = prefix + full
			} else {
				prefix, _, _ = strings.Cut(full, "_")
			}
			if short := strings.TrimSuffix(full, "_total"); !strings.Contains(string(source), `"`+short+`"`) && !strings.Contains(string(source), `"throughline_`+short+`"`) {
				t.Errorf("%s speaks of the metric %s, which is none", operating, full)
			}
		}
	}
}
