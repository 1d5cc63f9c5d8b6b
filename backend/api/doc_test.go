package api_test

import (
	"bufio"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// example is a request of api.md and the answer after it.
var example = regexp.MustCompile("(?s)```http\n(GET [^\n]+)\n```\n\n```(json|text)\n(.*?)```")

// Every request in api.md is answered as it says there.
func TestDocumentedExamples(t *testing.T) {
	text, err := os.ReadFile("api.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := example.FindAllStringSubmatch(string(text), -1)
	if headings := strings.Count(string(text), "\n## GET "); len(examples) < headings {
		t.Errorf("%d examples for %d endpoints", len(examples), headings)
	}
	out := string(text)
	for _, e := range examples {
		path := strings.TrimPrefix(e[1], "GET ")
		f := serve(t)
		var got string
		if e[2] == "text" {
			got = streamed(t, f, path)
		} else {
			f.send(t, "testdata/example.json")
			_, body := f.get(t, path)
			got = indent(t, body)
		}
		if *update {
			out = strings.Replace(out, e[0], "```http\n"+e[1]+"\n```\n\n```"+e[2]+"\n"+got+"```", 1)
		} else if got != e[3] {
			t.Errorf("%s: api.md has\n%s\nthe answer is\n%s", e[1], e[3], got)
		}
	}
	if *update {
		if err := os.WriteFile("api.md", []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// streamed is what a client sees that connects first, and then the example arrives.
func streamed(t *testing.T, f *fixture, path string) string {
	t.Helper()
	resp, err := http.Get(f.web.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("content type %q", got)
	}
	lines := bufio.NewScanner(resp.Body)
	event := func() string {
		var b strings.Builder
		for lines.Scan() {
			if lines.Text() == "" {
				return b.String() + "\n"
			}
			b.WriteString(lines.Text() + "\n")
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
	first := event()
	f.send(t, "testdata/example.json")
	return first + strings.TrimSuffix(event(), "\n")
}
