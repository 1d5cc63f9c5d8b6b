package gen

import (
	"cmp"
	"fmt"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// Problem is something wrong with the input, at a place in it.
type Problem struct {
	// Pos is the place; the zero Position if there is none. Its file name is
	// relative to the working directory when the file lies below it.
	Pos token.Position
	Msg string
}

func (p Problem) String() string {
	if !p.Pos.IsValid() {
		return p.Msg
	}
	return fmt.Sprintf("%s: %s", p.Pos, p.Msg)
}

// Problems are all that is wrong with the input, in the order of the source.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the problems in the order of the source, each once.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Pos.Filename, b.Pos.Filename),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Msg, b.Msg),
		)
	})
	return slices.Compact(p)
}

// relative shortens file names to what a reader of the terminal expects.
func relative(pos token.Position, dir string) token.Position {
	if rel, err := filepath.Rel(dir, pos.Filename); err == nil && filepath.IsLocal(rel) {
		pos.Filename = rel
	}
	return pos
}
