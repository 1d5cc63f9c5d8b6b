package rules

import (
	"bytes"
	"go/ast"
	"iter"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

const directive = "//tracelint:ignore"

// Ignore reads the comments of the form
//
//	//tracelint:ignore rule[,rule…] reason
//
// and reports those that name no rule, a rule that does not exist, or no
// reason. A comment holds for the line it stands on; one that has a line for
// itself holds for the line below.
var Ignore = &analysis.Analyzer{
	Name:       "ignore",
	Doc:        "check //tracelint:ignore comments\n\nA comment needs the names of rules and a reason: //tracelint:ignore lostcontext the parent is meant.",
	URL:        home + "silencing-a-finding",
	Run:        runIgnore,
	ResultType: reflect.TypeFor[*ignored](),
}

type line struct {
	file string
	line int
}

type ignored struct {
	rules map[line][]string
}

func runIgnore(pass *analysis.Pass) (any, error) {
	ig := &ignored{rules: make(map[line][]string)}
	for _, file := range pass.Files {
		var source []byte
		for _, group := range file.Comments {
			for _, c := range group.List {
				text, ok := strings.CutPrefix(c.Text, directive)
				if !ok {
					continue
				}
				if source == nil {
					var err error
					if source, err = pass.ReadFile(pass.Fset.File(file.FileStart).Name()); err != nil {
						return nil, err
					}
				}
				names, reason, _ := strings.Cut(strings.TrimSpace(text), " ")
				switch bad := unknown(names); {
				case names == "":
					pass.Reportf(c.Pos(), "%s needs the name of a rule and a reason", directive)
					continue
				case bad != "":
					pass.Reportf(c.Pos(), "%s names the unknown rule %q", directive, bad)
					continue
				case strings.TrimSpace(reason) == "":
					pass.Reportf(c.Pos(), "%s %s needs a reason", directive, names)
					continue
				}
				at := line{pass.Fset.File(c.Pos()).Name(), pass.Fset.PositionFor(c.Pos(), false).Line}
				if alone(source, pass.Fset.File(c.Pos()).Offset(c.Pos())) {
					at.line++
				}
				ig.rules[at] = append(ig.rules[at], strings.Split(names, ",")...)
			}
		}
	}
	return ig, nil
}

// alone reports whether nothing but space stands before offset on its line.
func alone(source []byte, offset int) bool {
	if offset > len(source) {
		return false
	}
	start := bytes.LastIndexByte(source[:offset], '\n') + 1
	return len(bytes.TrimSpace(source[start:offset])) == 0
}

// unknown returns the first of the comma-separated names that is no rule.
func unknown(names string) string {
	for name := range strings.SplitSeq(names, ",") {
		if !ruleNames[name] {
			return name
		}
	}
	return ""
}

// report reports d unless a comment in the source silences it.
func report(pass *analysis.Pass, d analysis.Diagnostic) {
	ig := pass.ResultOf[Ignore].(*ignored)
	at := line{pass.Fset.File(d.Pos).Name(), pass.Fset.PositionFor(d.Pos, false).Line}
	if slices.Contains(ig.rules[at], pass.Analyzer.Name) {
		return
	}
	pass.Report(d)
}

// files yields the files a person wrote and ships: not generated, no tests.
func files(pass *analysis.Pass) iter.Seq[*ast.File] {
	return func(yield func(*ast.File) bool) {
		for _, f := range pass.Files {
			name := pass.Fset.File(f.FileStart).Name()
			if strings.HasSuffix(name, "_test.go") || ast.IsGenerated(f) {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}
