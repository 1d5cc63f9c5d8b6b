package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/server"
)

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestServe(t *testing.T) {
	t.Setenv("THROUGHLINE_OTLP_HTTP", "127.0.0.1:0")
	t.Setenv("THROUGHLINE_MAX_BYTES", "8MiB")
	t.Setenv("THROUGHLINE_DATA", server.MemoryData)
	t.Setenv("THROUGHLINE_RETENTION", "") // as good as none
	ctx, cancel := context.WithCancel(t.Context())
	var stderr lockedBuffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--otlp-grpc", "", "--jaeger-grpc", "127.0.0.1:0"}, nil, io.Discard, &stderr)
	}()
	ready := regexp.MustCompile(`msg=ready ui=(\S+) otlp_grpc="" otlp_http=(\S+) jaeger_grpc=\S+ store=memory max_bytes=8388608 `)
	var found []string
	for deadline := time.Now().Add(10 * time.Second); found == nil; time.Sleep(time.Millisecond) {
		if found = ready.FindStringSubmatch(stderr.String()); found == nil && time.Now().After(deadline) {
			t.Fatalf("not ready: %s", stderr.String())
		}
	}
	for _, url := range []string{found[1] + "/readyz", found[1] + "/", "http://" + found[2] + "/healthz"} {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", url, resp.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("a stop is no error: %v", err)
	}
	if !strings.Contains(stderr.String(), "msg=stopped") {
		t.Errorf("log: %s", stderr.String())
	}
}

func TestServeRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	_, port, err := net.SplitHostPort(taken)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		env   [2]string
		want  string
		usage bool
	}{
		{args: []string{"--data", os.DevNull}, want: "opening store: mkdir " + os.DevNull},
		{args: []string{"--durability", "maybe"}, want: `--durability "maybe": want sync, interval=200ms or none`, usage: true},
		{args: []string{"--max-bytes", "lots"}, want: `"lots": want a size such as 256MiB`, usage: true},
		{args: []string{"--max-bytes", "1KiB"}, want: "--max-bytes 1024: want at least 1048576", usage: true},
		{args: []string{"--retention", "-1s"}, want: "--retention -1s: want 0 or more", usage: true},
		{args: []string{"--retention", "forever"}, want: `"forever"`, usage: true},
		{env: [2]string{"THROUGHLINE_MAX_BYTES", "lots"}, want: `THROUGHLINE_MAX_BYTES="lots"`, usage: true},
		{args: []string{"--max-attribute-depth", "0"}, want: "--max-attribute-depth 0: want 1 to 1000", usage: true},
		{args: []string{"--otlp-token", "short"}, want: "--otlp-token: token of 5 characters: want 16 at least"},
		{env: [2]string{"THROUGHLINE_TLS_CERT", "cert.pem"}, want: "--tls-cert and --tls-key are given together"},
		{args: []string{"--log-level", "loud"}, want: "loud", usage: true},
		{args: []string{"--no-such-flag"}, want: "no-such-flag", usage: true},
		{args: []string{"--listen", "16686"}, want: `--listen "16686": want host:port`},
		{
			args: []string{"--listen", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--jaeger-grpc", "", "--otlp-grpc", taken},
			want: `--otlp-grpc "` + taken + `": port ` + port + `: already in use; end the program that has it, or choose another by --otlp-grpc`,
		},
	} {
		t.Run(strings.Join(c.args, " ")+c.env[0], func(t *testing.T) {
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			if !slices.Contains(c.args, "--data") {
				t.Setenv("THROUGHLINE_DATA", server.MemoryData)
			}
			// A command that starts after all is stopped.
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err := run(ctx, append([]string{"serve"}, c.args...), nil, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) || isUsage(err) != c.usage {
				t.Errorf("got %v, usage %t; want %s, usage %t", err, err != nil && isUsage(err), c.want, c.usage)
			}
		})
	}
}

func TestDataHome(t *testing.T) {
	home := func() (string, error) { return filepath.FromSlash("/home/u"), nil }
	none := func() (string, error) { return "", errors.New("no home") }
	for _, c := range []struct {
		system string
		env    map[string]string
		home   func() (string, error)
		want   string
	}{
		{"linux", nil, home, "/home/u/.local/share/throughline"},
		{"linux", map[string]string{"XDG_DATA_HOME": "/data"}, none, "/data/throughline"},
		{"linux", map[string]string{"XDG_DATA_HOME": "relative"}, home, "/home/u/.local/share/throughline"},
		{"darwin", nil, home, "/home/u/Library/Application Support/throughline"},
		{"windows", map[string]string{"LocalAppData": "/local"}, home, "/local/throughline"},
		{"linux", nil, none, ""},
	} {
		got, err := dataHome(c.system, func(name string) (string, bool) { v, ok := c.env[name]; return v, ok }, c.home)
		if filepath.ToSlash(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s, %v: %q, %v, want %q", c.system, c.env, got, err, c.want)
		}
	}
}

// A restart finds what was stored, and a directory has one server.
func TestServeSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	a, stop := serving(t, server.Config{Data: dir})
	send(t, a, 7, 1, "kept", time.Now())
	err := run(t.Context(), []string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--otlp-grpc", "", "--otlp-http", "", "--jaeger-grpc", ""}, nil, io.Discard, io.Discard)
	for _, want := range []string{dir, "in use by another process", "--data"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	again, _ := serving(t, server.Config{Data: dir})
	if got := readBack(t, exported(t, "--url", again.URL())); len(got) != 1 {
		t.Errorf("after a restart: %v", got)
	}
}

func TestByteSize(t *testing.T) {
	for in, want := range map[string]string{
		"256MiB": "256MiB", "1GB": "1GiB", "1g": "1GiB", "1024": "1KiB", "1000": "1000", "3 MiB": "3MiB", "2T": "2048GiB",
		"": "", "0": "", "-1": "", "1PiB": "", "MiB": "", "99999999999999999999": "", "9999999T": "",
	} {
		var b byteSize
		err := b.Set(in)
		if got := b.String(); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: got %s, %v; want %s", in, got, err, want)
		}
	}
}
