package terminal

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"
)

// Line is one series of a chart.
type Line struct {
	Name   string
	Points []Point
}

// Point is a value at one time.
type Point struct {
	Time  time.Time
	Value float64
}

// maxLines is how many lines a reader can tell apart.
const maxLines = 8

// Chart draws lines over time with their names below. Of more lines than can be
// told apart the largest are drawn, and it is said.
func (s Style) Chart(w io.Writer, lines []Line, zone *time.Location) error {
	columns := s.Width
	if columns <= 0 {
		columns = 100
	}
	times := timesOf(lines)
	if len(times) == 0 {
		return nil
	}
	all := len(lines)
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b Line) int {
		return compareDown(total(a), total(b))
	})
	if all > maxLines {
		lines = lines[:maxLines]
	}
	at := make(map[int64]int, len(times))
	for i, t := range times {
		at[t] = i
	}
	data := make([][]float64, len(lines))
	low, high := math.Inf(1), math.Inf(-1)
	for i, l := range lines {
		data[i] = slices.Repeat([]float64{math.NaN()}, max(2, len(times)))
		for _, p := range l.Points {
			v := p.Value
			if math.IsInf(v, 0) {
				v = math.NaN()
			}
			data[i][at[p.Time.UnixNano()]] = v
			if !math.IsNaN(v) {
				low, high = min(low, v), max(high, v)
			}
		}
		if len(times) == 1 {
			data[i][1] = data[i][0]
		}
	}
	if math.IsInf(low, 1) {
		return nil
	}
	if low > 0 && low < high {
		low = 0 // a line's height is its value
	}
	label := max(len(Number(low)), len(Number(high)))
	format := "15:04:05"
	if span := time.Duration(times[len(times)-1] - times[0]); span >= 24*time.Hour {
		format = "01-02 15:04"
	} else if span >= 10*time.Minute {
		format = "15:04"
	}
	first, last := float64(times[0]), float64(times[len(times)-1])
	plot := max(20, columns-label-6)
	options := []asciigraph.Option{
		asciigraph.Height(10), asciigraph.Width(plot), asciigraph.LowerBound(low),
		asciigraph.YAxisValueFormatter(func(v float64) string { return fill(Number(v), label, true) }),
	}
	if last > first {
		options = append(options, asciigraph.XAxisRange(first, last), asciigraph.XAxisTickCount(max(2, min(6, plot/16))),
			asciigraph.XAxisValueFormatter(func(v float64) string { return time.Unix(0, int64(v)).In(zone).Format(format) }))
	}
	if s.Color {
		options = append(options, asciigraph.SeriesColors(lineColors[:len(data)]...))
	}
	if _, err := fmt.Fprintln(w, asciigraph.PlotMany(data, options...)); err != nil {
		return err
	}
	return s.legend(w, lines, all)
}

// lineColors are the numbers of palette.
var lineColors = []asciigraph.AnsiColor{33, 172, 133, 37, 245, 107, 29, 62}

func (s Style) legend(w io.Writer, lines []Line, all int) error {
	var b strings.Builder
	b.WriteByte('\n')
	for i, l := range lines {
		last := math.NaN()
		for _, p := range l.Points {
			if !math.IsNaN(p.Value) {
				last = p.Value
			}
		}
		name := l.Name
		if name == "" {
			name = "all"
		}
		text := Text(name)
		if s.Width > 0 {
			text = cut(text, max(10, s.Width-30))
		}
		fmt.Fprintf(&b, "%s %s  %s\n", s.paint(palette[i%len(palette)], "━━"), text,
			s.Dim(fmt.Sprintf("last %s, mean %s", Number(last), Number(mean(l)))))
	}
	if all > len(lines) {
		fmt.Fprintf(&b, "%s\n", s.Dim(fmt.Sprintf("the %d largest of %d series", len(lines), all)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func timesOf(lines []Line) []int64 {
	var all []int64
	for _, l := range lines {
		for _, p := range l.Points {
			all = append(all, p.Time.UnixNano())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func total(l Line) float64 {
	sum := 0.0
	for _, p := range l.Points {
		if !math.IsNaN(p.Value) {
			sum += math.Abs(p.Value)
		}
	}
	return sum
}

func mean(l Line) float64 {
	sum, n := 0.0, 0
	for _, p := range l.Points {
		if !math.IsNaN(p.Value) {
			sum += p.Value
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

func compareDown(a, b float64) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}
