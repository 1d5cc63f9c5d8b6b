package terminal

import (
	"math"
	"strconv"
	"time"
)

// Duration is a duration with three significant digits, such as 850ns, 12.5ms,
// 1.05s, 2m5s or 3d4h.
func Duration(d time.Duration) string {
	if d < 0 {
		if d == math.MinInt64 {
			d++
		}
		return "-" + Duration(-d)
	}
	if d == 0 {
		return "0"
	}
	if d >= 59950*time.Millisecond {
		return long(d)
	}
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		// 999.6µs would round to 1000µs; it belongs to the next unit.
		if n := float64(d) / u.size; n >= 0.9995 {
			return digits(n) + u.name
		}
	}
	return strconv.Itoa(int(d)) + "ns"
}

func long(d time.Duration) string {
	seconds := int64(d.Round(time.Second) / time.Second)
	units := []struct {
		size int64
		name string
	}{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}
	for i, u := range units[:3] {
		if seconds < u.size {
			continue
		}
		text := strconv.FormatInt(seconds/u.size, 10) + u.name
		if rest := seconds % u.size / units[i+1].size; rest > 0 {
			text += strconv.FormatInt(rest, 10) + units[i+1].name
		}
		return text
	}
	return strconv.FormatInt(seconds, 10) + "s"
}

// digits writes a number with three significant digits and without needless zeros.
func digits(n float64) string {
	f, err := strconv.ParseFloat(strconv.FormatFloat(n, 'g', 3, 64), 64)
	if err != nil {
		return "?"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// Number writes a value of a metric with at most four significant digits.
func Number(n float64) string {
	switch a := math.Abs(n); {
	case math.IsNaN(n):
		return "-"
	case a != 0 && (a < 1e-4 || a >= 1e9):
		return strconv.FormatFloat(n, 'e', 3, 64)
	case a >= 1000:
		return strconv.FormatFloat(math.Round(n), 'f', -1, 64)
	}
	f, err := strconv.ParseFloat(strconv.FormatFloat(n, 'g', 4, 64), 64)
	if err != nil {
		return "?"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// Count writes a number with a word in the right form: 1 span, 2 spans.
func Count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// Time is a moment in local time, to the millisecond.
func Time(unixNano uint64, zone *time.Location) string {
	if unixNano == 0 || unixNano > math.MaxInt64 {
		return "-"
	}
	return time.Unix(0, int64(unixNano)).In(zone).Format("2006-01-02 15:04:05.000")
}
