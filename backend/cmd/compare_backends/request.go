package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// request is one line of a file of queries, or what it stands for.
type request struct {
	line string // what it is called
	path string // with its parameters
	// factor is how far apart the numbers of two right answers may be.
	factor float64
	grpc   bool // by Jaeger's query service
}

// metrics is how Grafana tells them from searches.
var metrics = regexp.MustCompile(`\|\s*(rate|count_over_time|(avg|sum|max|min|quantile|histogram)_over_time|compare)\s*\(`)

// requests makes those that a line stands for: a TraceQL query, or a path of the
// API in which {start}, {end} (and with Ms, Us, Ns, Time behind them) and
// {traceID} are filled in.
func (c *corpus) requests(line string) []request {
	from, to := c.start.Add(-time.Minute), c.start.Add(corpusTime+time.Minute)
	if !strings.HasPrefix(line, "/") {
		q := url.QueryEscape(line)
		between := fmt.Sprintf("&start=%d&end=%d", from.Unix(), to.Unix())
		if !metrics.MatchString(line) {
			return []request{{"search " + line, "/api/search?limit=10000&spss=100&q=" + q + between, 1, false}}
		}
		factor := 1.0
		if strings.Contains(line, "quantile_over_time") {
			// Tempo interpolates between the powers of two that have values, which
			// are not that far apart.
			factor = 64
		}
		return []request{
			{"range " + line, "/api/metrics/query_range?step=10s&q=" + q + between, factor, false},
			{"instant " + line, "/api/metrics/query?q=" + q + between, factor, false},
		}
	}
	path := fillIn.ReplaceAllStringFunc(line, func(word string) string {
		t := from
		if strings.HasPrefix(word, "{end") {
			t = to
		}
		switch {
		case strings.HasSuffix(word, "Ms}"):
			return strconv.FormatInt(t.UnixMilli(), 10)
		case strings.HasSuffix(word, "Us}"):
			return strconv.FormatInt(t.UnixMicro(), 10)
		case strings.HasSuffix(word, "Ns}"):
			return strconv.FormatInt(t.UnixNano(), 10)
		case strings.HasSuffix(word, "Time}"):
			return t.UTC().Format(time.RFC3339Nano)
		}
		return strconv.FormatInt(t.Unix(), 10)
	})
	path = escape.Replace(path)
	if !strings.Contains(path, "{traceID}") {
		return []request{{line, path, 1, false}}
	}
	var out []request
	for _, id := range c.ids {
		one := strings.NewReplacer("{traceID}", id.String())
		out = append(out, request{one.Replace(line), one.Replace(path), 1, false})
	}
	return out
}

var fillIn = regexp.MustCompile(`\{(start|end)(Ms|Us|Ns|Time)?\}`)

// escape lets lines be written as they are read.
var escape = strings.NewReplacer(" ", "%20", `"`, "%22", "|", "%7C", "<", "%3C", ">", "%3E", "`", "%60", "^", "%5E", "\\", "%5C")

// readLines reads a file of lines, without comments and empty ones.
func readLines(r io.Reader) ([]string, error) {
	var out []string
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		if line := strings.TrimSpace(scan.Text()); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out, scan.Err()
}

func readFile(name, otherwise string) ([]string, error) {
	if name == "" {
		return readLines(strings.NewReader(otherwise))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLines(f)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 256 << 20

var client = &http.Client{Timeout: time.Minute}

func get(ctx context.Context, base, path string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	a, err := newAnswer(resp.StatusCode, body)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return a, nil
}
