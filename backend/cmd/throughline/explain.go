package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/terminal"
	"github.com/throughline/throughline/backend/traceql"
)

// explain makes an error about a query show the place in it. A server's own words
// are left where its TraceQL is not ours.
func explain(query string, err error) error {
	status, refused := errors.AsType[*client.StatusError](err)
	syntax, ok := errors.AsType[*traceql.SyntaxError](err)
	if !ok && (!refused || status.Status != http.StatusBadRequest) {
		return err
	}
	if !ok {
		_, parsed := traceql.Parse(query)
		if syntax, ok = errors.AsType[*traceql.SyntaxError](parsed); !ok {
			return err
		}
	}
	lines := strings.Split(query, "\n")
	if syntax.Line < 1 || syntax.Line > len(lines) {
		return syntax
	}
	line := []rune(lines[syntax.Line-1])
	before := terminal.Text(string(line[:min(max(0, syntax.Column-1), len(line))]))
	return fmt.Errorf("%w\n  %s\n  %s^", syntax, terminal.Text(string(line)), strings.Repeat(" ", terminal.Width(before)))
}
