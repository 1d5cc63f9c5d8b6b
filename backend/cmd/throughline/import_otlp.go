package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/throughline/throughline/backend/span"
)

// otlpSink sends spans to a receiver of OTLP over HTTP, and again where OTLP says
// that a request may be sent again.
type otlpSink struct {
	url, token string
	headers    headerFlag
	client     *http.Client
	flags      *pflag.FlagSet
}

func (o *otlpSink) add(cmd *cobra.Command) {
	o.flags = pflag.NewFlagSet("otlp", pflag.ContinueOnError)
	o.flags.StringVar(&o.url, "otlp", "http://127.0.0.1:4318", "receiver of OTLP over HTTP; /v1/traces is added when there is no path")
	o.flags.StringVar(&o.token, "otlp-token", "", "the receiver's token; other users see a flag, so rather use its variable")
	o.flags.Var(&o.headers, "otlp-header", "`Name: value` to send with every request, repeatable")
	cmd.Flags().AddFlagSet(o.flags)
}

func (o *otlpSink) open() error {
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return &usageError{fmt.Errorf("--otlp %q: want a URL such as http://127.0.0.1:4318", o.url)}
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	o.url = u.String()
	o.client = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return nil
}

func (o *otlpSink) close() { o.client.CloseIdleConnections() }

// tries bounds how often one request is sent.
const tries = 6

func (o *otlpSink) send(ctx context.Context, spans []span.Span) (rejected span.Rejected, err error) {
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	if _, err := z.Write(span.EncodeProto(spans)); err != nil {
		return rejected, err
	}
	if err := z.Close(); err != nil {
		return rejected, err
	}
	wait := 250 * time.Millisecond
	for try := 1; ; try++ {
		again, after, err := o.post(ctx, body.Bytes(), spans, &rejected)
		if err == nil || !again || try == tries {
			return rejected, err
		}
		select {
		case <-ctx.Done():
			return rejected, ctx.Err()
		case <-time.After(min(max(wait, after), time.Minute)):
		}
		wait *= 2
	}
}

func (o *otlpSink) post(ctx context.Context, body []byte, spans []span.Span, rejected *span.Rejected) (again bool, after time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return false, 0, err
	}
	if o.headers != nil {
		request.Header = http.Header(o.headers).Clone()
	}
	if o.token != "" {
		request.Header.Set("Authorization", "Bearer "+o.token)
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	request.Header.Set("Content-Encoding", "gzip")
	resp, err := o.client.Do(request)
	if err != nil {
		return false, 0, fmt.Errorf("sending spans: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return true, 0, fmt.Errorf("sending spans: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		count, why, err := span.ReadExportResponse(string(answer))
		if err != nil {
			return false, 0, fmt.Errorf("reading the answer of %s: %w", request.URL.Redacted(), err)
		}
		for range min(count, len(spans)) {
			rejected.Add(why, &spans[0])
		}
		return false, 0, nil
	}
	err = fmt.Errorf("sending spans: %s answered %s: %s", request.URL.Redacted(), resp.Status, refusalText(answer, resp.Header.Get("Content-Type")))
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return true, time.Duration(seconds) * time.Second, err
	}
	return false, 0, err
}

// refusalText is the message of an answer's google.rpc.Status, or its text.
func refusalText(answer []byte, contentType string) string {
	var st statuspb.Status
	switch {
	case strings.HasPrefix(contentType, "application/x-protobuf") && proto.Unmarshal(answer, &st) == nil:
		return st.GetMessage()
	case strings.HasPrefix(contentType, "application/json") && protojson.Unmarshal(answer, &st) == nil:
		return st.GetMessage()
	case strings.Contains(contentType, "html"):
		return "a page, so that it is hardly a receiver of OTLP"
	}
	return strings.TrimSpace(string(answer[:min(len(answer), 500)]))
}
