package terminal

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
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
	lines = finite(lines)
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
		data[i] = slices.Repeat([]float64{math.NaN()}, len(times))
		for _, p := range l.Points {
			data[i][at[p.Time.UnixNano()]] = p.Value
			if !math.IsNaN(p.Value) {
				low, high = min(low, p.Value), max(high, p.Value)
			}
		}
	}
	if math.IsInf(low, 1) {
		return nil
	}
	if low > 0 && low < high {
		low = 0 // a line's height is its value
	}
	tick := func(v float64) string { return short(v, high-low) }
	label := max(len(tick(low)), len(tick(high)), len(tick(low+(high-low)/3)))
	format := "15:04:05"
	if span := time.Duration(times[len(times)-1] - times[0]); span >= 24*time.Hour {
		format = "01-02 15:04"
	} else if span >= 10*time.Minute {
		format = "15:04"
	}
	first, last := float64(times[0]), float64(times[len(times)-1])
	plot := max(20, columns-label-8)
	options := []asciigraph.Option{
		asciigraph.Height(10), asciigraph.LowerBound(low), asciigraph.UpperBound(high),
		asciigraph.YAxisValueFormatter(func(v float64) string { return fill(tick(v), label, true) }),
	}
	for i := range data {
		data[i] = resample(data[i], plot)
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

// resample gives each column of a chart its value: of the points that fall into one
// the furthest from 0, so that no peak is lost, and else the one before it.
func resample(points []float64, columns int) []float64 {
	out := make([]float64, columns)
	for c := range out {
		from, to := c*len(points)/columns, max(c*len(points)/columns+1, (c+1)*len(points)/columns)
		out[c] = points[from]
		for _, v := range points[from:to] {
			if math.IsNaN(out[c]) || math.Abs(v) > math.Abs(out[c]) {
				out[c] = v
			}
		}
	}
	return out
}

// lineColors are the numbers of palette.
var lineColors = []asciigraph.AnsiColor{33, 172, 133, 37, 245, 107, 29, 62}

func (s Style) legend(w io.Writer, lines []Line, all int) error {
	var b strings.Builder
	b.WriteByte('\n')
	for i, l := range lines {
		last, most := math.NaN(), math.NaN()
		for _, p := range l.Points {
			if !math.IsNaN(p.Value) {
				last = p.Value
				if math.IsNaN(most) || p.Value > most {
					most = p.Value
				}
			}
		}
		name := l.Name
		if name == "" {
			name = "all"
		}
		text := Text(name)
		if s.Width > 0 {
			text = cut(text, max(10, s.Width-40))
		}
		fmt.Fprintf(&b, "%s %s  %s\n", s.paint(palette[i%len(palette)], "━━"), text,
			s.Dim(fmt.Sprintf("last %s, mean %s, max %s", Number(last), Number(mean(l)), Number(most))))
	}
	if all > len(lines) {
		fmt.Fprintf(&b, "%s\n", s.Dim(fmt.Sprintf("the %d largest of %d series", len(lines), all)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// short writes a value beside an axis, exactly enough to tell it from its neighbours.
func short(v, all float64) string {
	switch {
	case math.Abs(v) < all/1e6:
		return "0"
	case all >= 1e6 || all < 1e-3:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case all >= 30:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', max(0, 1-int(math.Floor(math.Log10(max(all, 1e-9)/3)))), 64)
}

// finite copies lines with infinite values left out.
func finite(lines []Line) []Line {
	out := slices.Clone(lines)
	for i := range out {
		out[i].Points = slices.Clone(out[i].Points)
		for j, p := range out[i].Points {
			if math.IsInf(p.Value, 0) {
				out[i].Points[j].Value = math.NaN()
			}
		}
	}
	return out
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
