package main

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/throughline/throughline/backend/export"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

func exportCommand() *cobra.Command {
	var e exportOptions
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write what is stored as OTLP JSON",
		Long: `Write stored traces as OTLP JSON, one TracesData a line: what was received, with
every resource, scope, attribute, event and link, order and duplicates aside. Each
line can be sent to an OTLP receiver as a request of its own. The variables
THROUGHLINE_URL, THROUGHLINE_API_TOKEN, THROUGHLINE_API_TOKEN_FILE and
THROUGHLINE_TLS_CA stand for the flags of these names.

The traces are those of a running server (--url), or of a data directory that no
server has open (--data). A trace is exported whole when it overlaps --from to --to
and a span of it is of --service.`,
		Example: `  throughline export --output traces.jsonl.zst
  throughline export --service articles-service --from 1h | jq .
  throughline export --data ~/.local/share/throughline --trace 5b8efff798038103d269b633813fc60c`,
		Args: cobra.NoArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if e.data != "" && cmd.Flags().Changed("url") {
				return &usageError{errors.New("--data and --url: give one of them")}
			}
			// Not THROUGHLINE_DATA, which is that of a server that may well run.
			reach := pflag.NewFlagSet("", pflag.ContinueOnError)
			for _, name := range []string{"url", "api-token", "api-token-file", "tls-ca"} {
				reach.AddFlag(cmd.Flags().Lookup(name))
			}
			return fromEnvironment(reach, os.LookupEnv)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := e.filter(time.Now())
			if err != nil {
				return &usageError{err}
			}
			from := e.fromServer
			if e.data != "" {
				from = e.fromDirectory
			}
			return writeTo(e.output, cmd.OutOrStdout(), func(w io.Writer) error {
				return from(cmd.Context(), w, filter, cmd.ErrOrStderr())
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.url, "url", "http://127.0.0.1:16686", "server to export from")
	f.StringVar(&e.data, "data", "", "data directory to export from, when no server has it open")
	f.StringVar(&e.token, "api-token", "", "the server's token; other users see a flag, so rather use its variable or a file")
	f.StringVar(&e.tokenFile, "api-token-file", "", "file of which the first line is the server's token")
	f.StringVar(&e.ca, "tls-ca", "", "PEM file of the authority of the server's certificate, when the system does not know it")
	f.StringVar(&e.from, "from", "", "traces that end then or later: a time such as 2026-01-02T15:04:05Z, unix nanoseconds, or 1h for an hour ago")
	f.StringVar(&e.to, "to", "", "traces that start then or earlier")
	f.StringVar(&e.service, "service", "", "traces with a span of this service")
	f.StringVar(&e.trace, "trace", "", "the trace with this id")
	f.StringVarP(&e.output, "output", "o", "-", "file to write, compressed when its name ends in .gz or .zst; - is the standard output")
	return cmd
}

type exportOptions struct {
	url, data, token, tokenFile, ca  string
	from, to, service, trace, output string
}

func (e *exportOptions) filter(now time.Time) (f export.Filter, err error) {
	if f.Start, err = parseMoment("--from", e.from, now); err != nil {
		return f, err
	}
	if f.End, err = parseMoment("--to", e.to, now); err != nil {
		return f, err
	}
	if f.End != 0 && f.Start > f.End {
		return f, errors.New("--from is after --to")
	}
	if e.service != "" {
		f.Service = &e.service
	}
	if e.trace != "" {
		if f.TraceID, err = span.ParseTraceID(e.trace); err != nil {
			return f, fmt.Errorf("--trace %q: %w", e.trace, err)
		}
	}
	return f, nil
}

// parseMoment reads a time, unix nanoseconds, or how long ago.
func parseMoment(flag, s string, now time.Time) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return uint64(max(now.Add(-d).UnixNano(), 1)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Unix() <= 0 || t.Year() > 2250 {
		return 0, fmt.Errorf("%s %q: want a time such as 2026-01-02T15:04:05Z, unix nanoseconds, or 1h for an hour ago", flag, s)
	}
	return uint64(t.UnixNano()), nil
}

func (e *exportOptions) fromDirectory(ctx context.Context, w io.Writer, f export.Filter, stderr io.Writer) (err error) {
	if _, err := os.Stat(e.data); err != nil {
		return fmt.Errorf("--data: %w", err) // Open would make it
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := store.Open(e.data, store.Options{Durability: store.Durability{Sync: true}, Log: log})
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%w; export from the server that has it, by --url", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = export.Write(ctx, w, db, f)
	return err
}

func (e *exportOptions) fromServer(ctx context.Context, w io.Writer, f export.Filter, _ io.Writer) error {
	base, err := url.Parse(e.url)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return &usageError{fmt.Errorf("--url %q: want http://host:port or https://host:port", e.url)}
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	q := url.Values{}
	if f.Start != 0 {
		q.Set("start", strconv.FormatUint(f.Start, 10))
	}
	if f.End != 0 {
		q.Set("end", strconv.FormatUint(f.End, 10))
	}
	if f.Service != nil {
		q.Set("service", *f.Service)
	}
	if !f.TraceID.IsZero() {
		q.Set("traceId", f.TraceID.String())
	}
	at := base.JoinPath("/api/native/v1/export")
	at.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return err
	}
	token, err := e.readToken()
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("exporting from %s: %s", e.url, problem(resp))
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("exporting from %s: the export is not whole: %w", e.url, err)
	}
	return nil
}

// problem is the server's own sentence when it sent one.
func problem(resp *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var answer struct{ Error struct{ Message string } }
	if json.Unmarshal(body, &answer) == nil && answer.Error.Message != "" {
		return answer.Error.Message
	}
	return resp.Status
}

func (e *exportOptions) readToken() (string, error) {
	if e.tokenFile == "" {
		return e.token, nil
	}
	text, err := os.ReadFile(e.tokenFile)
	if err != nil {
		return "", fmt.Errorf("--api-token-file: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line), nil
}

// client waits for an export as long as it takes, once the answer has begun.
func (e *exportOptions) client() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = time.Minute
	if e.ca != "" {
		text, err := os.ReadFile(e.ca)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--tls-ca %q: no certificate in it", e.ca)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport}, nil
}

// writeTo has write fill a file, which gets its name once it is whole.
func writeTo(name string, stdout io.Writer, write func(io.Writer) error) (err error) {
	if name == "-" {
		return write(stdout)
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("--output %q: not a regular file", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	var w io.WriteCloser = nopCloser{f}
	switch filepath.Ext(name) {
	case ".gz":
		w = gzip.NewWriter(f)
	case ".zst":
		if w, err = zstd.NewWriter(f); err != nil {
			return err
		}
	}
	if err := errors.Join(write(w), w.Close()); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
