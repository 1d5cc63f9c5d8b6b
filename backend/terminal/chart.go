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

// Chart says how to draw lines over time.
type Chart struct {
	// Start and End are the range of the axis; zero means that of the points.
	Start, End time.Time
	Zone       *time.Location       // nil means local
	Format     func(float64) string // of a value; nil means Number
}

// Chart draws lines over time with their names below. Of more lines than can be
// told apart the largest are drawn, and it is said.
func (s Style) Chart(w io.Writer, lines []Line, c Chart) error {
	columns := s.Width
	if columns <= 0 {
		columns = 100
	}
	if c.Zone == nil {
		c.Zone = time.Local
	}
	all := len(lines)
	lines = finite(lines)
	slices.SortStableFunc(lines, func(a, b Line) int {
		return compareDown(total(a), total(b))
	})
	lines = lines[:min(all, maxLines)]
	low, high := math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, p := range l.Points {
			if !math.IsNaN(p.Value) {
				low, high = min(low, p.Value), max(high, p.Value)
			}
		}
	}
	if math.IsInf(low, 1) {
		return nil // there is nothing to draw
	}
	if low > 0 && low < high {
		low = 0 // a line's height is its value
	}
	times := timesOf(lines)
	if c.Start.IsZero() {
		c.Start = time.Unix(0, times[0])
	}
	if c.End.IsZero() {
		c.End = time.Unix(0, times[len(times)-1])
	}
	tick := func(v float64) string { return short(v, high-low) }
	if c.Format != nil {
		tick = c.Format
	} else {
		c.Format = Number
	}
	label := max(width(tick(low)), width(tick(high)), width(tick(low+(high-low)/3)))
	plot := max(20, columns-label-8)
	data := make([][]float64, len(lines))
	for i, l := range lines {
		data[i] = resample(l.Points, c.Start, c.End, gap(times), plot)
	}
	options := []asciigraph.Option{
		asciigraph.Height(10), asciigraph.LowerBound(low), asciigraph.UpperBound(high),
		asciigraph.YAxisValueFormatter(func(v float64) string { return fill(tick(v), label, true) }),
	}
	if took := c.End.Sub(c.Start); took > 0 {
		format := "15:04:05"
		if took >= 24*time.Hour {
			format = "01-02 15:04"
		} else if took >= 20*time.Minute {
			format = "15:04"
		}
		options = append(options, asciigraph.XAxisRange(0, float64(took)), asciigraph.XAxisTickCount(max(2, min(6, plot/16))),
			asciigraph.XAxisValueFormatter(func(v float64) string { return c.Start.Add(time.Duration(v)).In(c.Zone).Format(format) }))
	}
	if s.Color {
		options = append(options, asciigraph.SeriesColors(lineColors[:len(data)]...))
	}
	if _, err := fmt.Fprintln(w, asciigraph.PlotMany(data, options...)); err != nil {
		return err
	}
	return s.legend(w, lines, all, c.Format)
}

// gap is the time from one point to the next where none is missing.
func gap(times []int64) time.Duration {
	least := int64(math.MaxInt64)
	for i := 1; i < len(times); i++ {
		least = min(least, times[i]-times[i-1])
	}
	return time.Duration(least)
}

// resample gives each column of a chart its value: of the points that fall into one
// the furthest from 0, so that no peak is lost; else the one before, as long as the
// next is not due; else none.
func resample(points []Point, start, end time.Time, gap time.Duration, columns int) []float64 {
	out := slices.Repeat([]float64{math.NaN()}, columns)
	took := end.Sub(start)
	points = slices.SortedFunc(slices.Values(points), func(a, b Point) int { return a.Time.Compare(b.Time) })
	at := func(t time.Time) int {
		if took <= 0 {
			return 0
		}
		return int(float64(t.Sub(start)) / float64(took) * float64(columns))
	}
	for _, p := range points {
		from := max(0, min(at(p.Time), columns-1))
		to := columns
		if due := p.Time.Add(gap); gap < took && due.Before(end) {
			to = max(from+1, min(at(due), columns))
		}
		if math.IsNaN(out[from]) || math.Abs(p.Value) > math.Abs(out[from]) {
			out[from] = p.Value
		}
		for c := from + 1; c < to; c++ {
			out[c] = p.Value
		}
	}
	return out
}

// lineColors are the numbers of palette.
var lineColors = []asciigraph.AnsiColor{33, 172, 133, 37, 245, 107, 29, 62}

func (s Style) legend(w io.Writer, lines []Line, all int, format func(float64) string) error {
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
			s.Dim(fmt.Sprintf("last %s, mean %s, max %s", format(last), format(mean(l)), format(most))))
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
