package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/throughline/throughline/backend/client"
)

// connection is the flags that say which server, or which data directory, a
// command reads.
type connection struct {
	url, kind, data  string
	token, tokenFile string
	headers          headerFlag
	ca, cert, key    string
	insecure         bool
	timeout          time.Duration
	withoutData      bool // the command is about a running server
	flags            *pflag.FlagSet
}

const defaultURL = "http://127.0.0.1:16686"

// add gives a command the flags.
func (c *connection) add(cmd *cobra.Command) {
	c.flags = pflag.NewFlagSet("connection", pflag.ContinueOnError)
	f := c.flags
	f.StringVar(&c.url, "url", defaultURL, "server to read: Throughline, Tempo or Jaeger")
	f.StringVar(&c.kind, "kind", "", "kind of the server: throughline, tempo or jaeger (default: it is asked)")
	f.StringVar(&c.token, "api-token", "", "the server's token; other users see a flag, so rather use its variable or a file")
	f.StringVar(&c.tokenFile, "api-token-file", "", "file of which the first line is the server's token")
	f.Var(&c.headers, "header", "`Name: value` to send with every request, repeatable; X-Scope-OrgID is a tenant of Tempo")
	f.StringVar(&c.ca, "tls-ca", "", "PEM file of the authority of the server's certificate, when the system does not know it")
	f.StringVar(&c.cert, "tls-cert", "", "PEM file of this client's certificate")
	f.StringVar(&c.key, "tls-key", "", "PEM file of its key")
	f.BoolVar(&c.insecure, "tls-skip-verify", false, "believe any certificate of the server")
	f.DurationVar(&c.timeout, "timeout", 30*time.Second, "how long one answer may take")
	cmd.Flags().AddFlagSet(f)
	if !c.withoutData {
		cmd.Flags().StringVar(&c.data, "data", "", "data directory to read, when no server has it open")
	}
	for _, name := range []string{"tls-ca", "tls-cert", "tls-key", "api-token-file", "data"} {
		if cmd.Flags().Lookup(name) != nil {
			_ = cmd.MarkFlagFilename(name) // fails only for a flag that is not there
		}
	}
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{"throughline", "tempo", "jaeger"}, cobra.ShellCompDirectiveNoFileComp))
}

// environment reads the flags' variables, and refuses two sources.
func (c *connection) environment(cmd *cobra.Command) error {
	if c.data != "" && cmd.Flags().Changed("url") {
		return &usageError{errors.New("--data and --url: give one of them")}
	}
	// Not THROUGHLINE_DATA, which is that of a server that may well run.
	return fromEnvironment(c.flags, os.LookupEnv)
}

// open returns the client and what ends it.
func (c *connection) open(ctx context.Context, cmd *cobra.Command) (client.Client, func() error, error) {
	cl, end, err := c.openLazy(ctx, cmd)
	if err != nil {
		return nil, nil, err
	}
	if lazy, ok := cl.(*client.Lazy); ok {
		if cl, err = client.Open(ctx, lazy.Options); errors.Is(err, client.ErrURL) {
			err = &usageError{fmt.Errorf("--url: %w", err)}
		}
	}
	return cl, end, err
}

// openLazy is open for a command that begins before its server may run.
func (c *connection) openLazy(ctx context.Context, cmd *cobra.Command) (client.Client, func() error, error) {
	if err := c.environment(cmd); err != nil {
		return nil, nil, err
	}
	if c.data != "" {
		return openDirectory(ctx, c.data, cmd.ErrOrStderr())
	}
	options, err := c.options()
	if err != nil {
		return nil, nil, err
	}
	return &client.Lazy{Options: options}, func() error { return nil }, nil
}

func (c *connection) options() (client.Options, error) {
	o := client.Options{URL: c.url, Token: c.token, Header: http.Header(c.headers), Timeout: c.timeout}
	var err error
	if o.Kind, err = client.ParseKind(c.kind); err != nil {
		return o, &usageError{fmt.Errorf("--kind: %w", err)}
	}
	if c.timeout <= 0 {
		return o, &usageError{fmt.Errorf("--timeout %s: want more than 0", c.timeout)}
	}
	if c.tokenFile != "" {
		text, err := os.ReadFile(c.tokenFile)
		if err != nil {
			return o, fmt.Errorf("--api-token-file: %w", err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		o.Token = strings.TrimSpace(line)
	}
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.insecure}
	if c.ca != "" {
		text, err := os.ReadFile(c.ca)
		if err != nil {
			return o, fmt.Errorf("--tls-ca: %w", err)
		}
		o.TLS.RootCAs = x509.NewCertPool()
		if !o.TLS.RootCAs.AppendCertsFromPEM(text) {
			return o, fmt.Errorf("--tls-ca %q: no certificate in it", c.ca)
		}
	}
	if (c.cert == "") != (c.key == "") {
		return o, &usageError{errors.New("--tls-cert and --tls-key: give both")}
	}
	if c.cert != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			return o, fmt.Errorf("--tls-cert %q: %w", c.cert, err)
		}
		o.TLS.Certificates = []tls.Certificate{pair}
	}
	return o, nil
}

// headerFlag collects headers, several in one value when it has several lines.
type headerFlag http.Header

func (h *headerFlag) Type() string   { return "header" }
func (h *headerFlag) String() string { return "" }

func (h *headerFlag) Set(s string) error {
	if *h == nil {
		*h = headerFlag{}
	}
	for line := range strings.Lines(s) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		name = textproto.TrimString(name)
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return errors.New("want `Name: value`") // the value may be a secret
		}
		http.Header(*h).Add(name, textproto.TrimString(value))
	}
	return nil
}
