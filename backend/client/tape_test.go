package client

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var (
	update     = flag.Bool("update", false, "write the golden files")
	realJaeger = flag.String("jaeger", "", "URL of a Jaeger that holds testdata/traces: its answers are recorded")
	realTempo  = flag.String("tempo", "", "URL of a Tempo that holds testdata/traces: its answers are recorded")
)

// tape replays the answers of a real server, or records them.
type tape struct {
	t       *testing.T
	file    string
	record  bool
	answers map[string]answer
}

type answer struct {
	Status      int
	ContentType string
	Text        string `json:",omitempty"`
	Bytes       []byte `json:",omitempty"` // of what is no text
}

// newTape is the transport of a server's recorded answers and its URL.
func newTape(t *testing.T, file, realURL string) (http.RoundTripper, string) {
	tp := &tape{t: t, file: filepath.Join("testdata", file), record: realURL != "", answers: map[string]answer{}}
	if tp.record {
		t.Cleanup(tp.save)
		return tp, realURL
	}
	text, err := os.ReadFile(tp.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &tp.answers); err != nil {
		t.Fatal(err)
	}
	return tp, "http://recorded.example"
}

// RoundTrip leaves the range of time out of account where it is that of the clock.
func (tp *tape) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	for _, name := range []string{"start", "end"} {
		if q.Has(name) {
			q.Set(name, "0")
		}
	}
	key, err := url.QueryUnescape(r.URL.Path + "?" + q.Encode())
	if err != nil {
		return nil, err
	}
	if tp.record {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		a := answer{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type")}
		if utf8.Valid(body) {
			a.Text = string(body)
		} else {
			a.Bytes = body
		}
		tp.answers[key] = a
	}
	a, ok := tp.answers[key]
	if !ok {
		tp.t.Errorf("%s is not on the tape %s", key, tp.file)
		a = answer{Status: http.StatusNotFound}
	}
	body := a.Bytes
	if a.Text != "" {
		body = []byte(a.Text)
	}
	return &http.Response{
		StatusCode: a.Status, Header: http.Header{"Content-Type": {a.ContentType}},
		Body: io.NopCloser(bytes.NewReader(body)), Request: r,
	}, nil
}

func (tp *tape) save() {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(tp.answers); err != nil {
		tp.t.Error(err)
	}
	if err := os.WriteFile(tp.file, text.Bytes(), 0o644); err != nil {
		tp.t.Error(err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	file = filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// The range of time of testdata/traces.
var (
	goldenStart = time.Date(2026, 9, 21, 14, 0, 0, 0, time.UTC)
	goldenEnd   = time.Date(2026, 9, 21, 15, 0, 0, 0, time.UTC)
)
