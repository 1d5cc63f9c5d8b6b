package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options say how to reach a server.
type Options struct {
	// URL is the root of the server's API, such as http://localhost:16686.
	URL string
	// Kind of the server; empty finds it out.
	Kind Kind
	// Token is sent as a bearer token, unless it is empty.
	Token string
	// Header is sent with every request.
	Header http.Header
	TLS    *tls.Config // nil means the system's roots
	// Timeout bounds each request; 0 means 30 s.
	Timeout time.Duration
	// MaxBytes bounds each answer after decompression; 0 means 256 MiB.
	MaxBytes int64
	// Transport replaces the network; it may be nil.
	Transport http.RoundTripper
}

const (
	defaultTimeout  = 30 * time.Second
	defaultMaxBytes = 256 << 20
)

// ErrURL is wrapped by the error of a URL that cannot be a server's.
var ErrURL = errors.New("URL of a server")

// ErrTooLarge is wrapped by the error of an answer that is more than MaxBytes.
var ErrTooLarge = errors.New("answer is too large")

// StatusError is an answer of a server that is not the one asked for.
type StatusError struct {
	URL     string
	Status  int
	Message string // what the server says about it
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s answered %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// unreachableError says that there is no answer at all.
type unreachableError struct {
	host string
	err  error
}

func (e *unreachableError) Error() string { return fmt.Sprintf("asking %s: %v", e.host, e.err) }
func (e *unreachableError) Unwrap() error { return e.err }

// remote is a server's root.
type remote struct {
	root     *url.URL
	http     *http.Client
	header   http.Header
	timeout  time.Duration
	maxBytes int64
}

func newRemote(o Options) (*remote, error) {
	root, err := url.Parse(o.URL)
	if err != nil || root.Scheme != "http" && root.Scheme != "https" || root.Host == "" || root.RawQuery != "" {
		shown := o.URL
		if err == nil {
			shown = root.Redacted()
		}
		return nil, fmt.Errorf("%w: %q: want http://host:port or https://host:port", ErrURL, shown)
	}
	r := &remote{root: root, header: o.Header.Clone(), timeout: o.Timeout, maxBytes: o.MaxBytes}
	if r.header == nil {
		r.header = http.Header{}
	}
	if user := root.User; user != nil {
		password, _ := user.Password()
		request := http.Request{Header: r.header}
		request.SetBasicAuth(user.Username(), password)
		root.User = nil
	}
	if o.Token != "" {
		r.header.Set("Authorization", "Bearer "+o.Token)
	}
	if r.timeout <= 0 {
		r.timeout = defaultTimeout
	}
	if r.maxBytes <= 0 {
		r.maxBytes = defaultMaxBytes
	}
	transport := o.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = o.TLS
		transport = t
	}
	r.http = &http.Client{Transport: transport, CheckRedirect: func(to *http.Request, via []*http.Request) error {
		// Another host is not to be sent the headers, which may hold secrets.
		if to.URL.Host != via[0].URL.Host || to.URL.Scheme != via[0].URL.Scheme {
			return fmt.Errorf("%s redirects to another server: use the address %s if that is the right one", via[0].URL.Host, to.URL.Redacted())
		}
		if len(via) >= 5 {
			return errors.New("too many redirects")
		}
		return nil
	}}
	return r, nil
}

// under is the same server with its API below a path.
func (r *remote) under(path string) *remote {
	c := *r
	c.root = r.root.JoinPath(path)
	return &c
}

// open begins a request; the answer has status 200.
func (r *remote) open(ctx context.Context, accept, path string, query url.Values) (*http.Response, error) {
	// The path may hold escaped slashes, so that it is not joined as text.
	u := *r.root
	u = *u.JoinPath(path)
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header = r.header.Clone()
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	request.Header.Set("Accept", accept)
	resp, err := r.http.Do(request)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok && e.Err != nil {
			err = e.Err // the URL is long, and may be a secret
		}
		return nil, &unreachableError{u.Host, err}
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	u.RawQuery = ""
	return nil, &StatusError{URL: u.Redacted(), Status: resp.StatusCode, Message: message(text, resp.Header.Get("Content-Type"))}
}

// read returns the whole answer.
func (r *remote) read(ctx context.Context, accept, path string, query url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("no answer within %s", r.timeout))
	defer cancel()
	body, err := r.readAll(ctx, accept, path, query)
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		return nil, &unreachableError{r.root.Host, context.Cause(ctx)}
	}
	return body, err
}

func (r *remote) readAll(ctx context.Context, accept, path string, query url.Values) ([]byte, error) {
	resp, err := r.open(ctx, accept, path, query)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(resp.Body, r.maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", r.root.Host, err)
	}
	if n > r.maxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes from %s", ErrTooLarge, r.maxBytes, r.root.Host)
	}
	return body.Bytes(), nil
}

// get reads a JSON answer into value.
func (r *remote) get(ctx context.Context, path string, query url.Values, value any) error {
	body, err := r.read(ctx, "application/json", path, query)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, value); err != nil {
		return fmt.Errorf("%s answered %s with what is not expected: %w", r.root.Host, path, err)
	}
	return nil
}

// message is what an error's body says, in whatever form its kind of server has.
func message(body []byte, contentType string) string {
	var native struct {
		Error  json.RawMessage
		Errors []struct{ Msg string }
	}
	if json.Unmarshal(body, &native) == nil {
		var inner struct{ Message string }
		var text string
		switch {
		case json.Unmarshal(native.Error, &inner) == nil && inner.Message != "":
			return clip(inner.Message)
		case json.Unmarshal(native.Error, &text) == nil && text != "":
			return clip(text)
		case len(native.Errors) > 0:
			return clip(native.Errors[0].Msg)
		}
	}
	if strings.Contains(contentType, "html") {
		return ""
	}
	return clip(strings.TrimSpace(string(body)))
}

// clip keeps a message short whatever it quotes.
func clip(s string) string {
	if len(s) > 1000 {
		return strings.ToValidUTF8(s[:1000], "") + "…"
	}
	return s
}

// hasStatus says whether an error is an answer with that status.
func hasStatus(err error, status int) bool {
	e, ok := errors.AsType[*StatusError](err)
	return ok && e.Status == status
}
