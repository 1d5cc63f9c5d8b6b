package terminal

import (
	"bufio"
	"io"
	"strings"
)

// Column describes one column of a table.
type Column struct {
	Title string
	Right bool // numbers
	// Least is the width that the column may be shortened to when the table is
	// wider than the terminal; 0 means that it is never shortened.
	Least int
}

// Cell is one field of a table: a text of any origin, and how to paint it when it
// has its final form.
type Cell struct {
	Text  string
	Paint func(string) string // nil leaves it as it is
}

// Table writes rows below the titles of their columns. A row of a single cell is a
// line of its own, which no column is as wide as.
func (s Style) Table(w io.Writer, columns []Column, rows [][]Cell) error {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = width(c.Title)
	}
	for _, row := range rows {
		for i := range row {
			row[i].Text = Text(row[i].Text)
			if len(row) == 1 && len(columns) > 1 {
				break
			}
			widths[i] = max(widths[i], width(row[i].Text))
		}
	}
	s.shorten(columns, widths)
	b := bufio.NewWriter(w)
	line := func(cell func(i int) (string, func(string) string)) {
		var text strings.Builder
		for i, c := range columns {
			value, paint := cell(i)
			value = cut(value, widths[i])
			space := strings.Repeat(" ", widths[i]-width(value))
			if c.Right {
				text.WriteString(space)
			}
			if paint != nil {
				value = paint(value)
			}
			text.WriteString(value)
			if !c.Right {
				text.WriteString(space)
			}
			if i < len(columns)-1 {
				text.WriteString("  ")
			}
		}
		b.WriteString(strings.TrimRight(text.String(), " "))
		b.WriteByte('\n')
	}
	line(func(i int) (string, func(string) string) { return columns[i].Title, s.Dim })
	for _, row := range rows {
		if len(row) == 1 && len(columns) > 1 {
			text := row[0].Text
			if s.Width > 0 {
				text = cut(text, s.Width)
			}
			if paint := row[0].Paint; paint != nil {
				text = paint(text)
			}
			b.WriteString(text + "\n")
			continue
		}
		line(func(i int) (string, func(string) string) { return row[i].Text, row[i].Paint })
	}
	return b.Flush()
}

// shorten takes from the widest column that may be shortened, until all fit.
func (s Style) shorten(columns []Column, widths []int) {
	if s.Width <= 0 {
		return
	}
	total := 2 * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	for total > s.Width {
		widest := -1
		for i, c := range columns {
			if c.Least > 0 && widths[i] > c.Least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
		total--
	}
}
