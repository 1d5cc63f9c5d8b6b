package articles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	tracing "github.com/throughline/throughline/tracing/go"
)

// maxSuggestionsBody bounds what is read of a response: about thirty thousand ids.
const maxSuggestionsBody = 1 << 20

// suggestionsTemplate names the calls in traces.
const suggestionsTemplate = "/suggestions/v1/{id}"

// SuggestionsClient calls the suggestions service over HTTP. Its methods may be called concurrently.
type SuggestionsClient struct {
	base    *url.URL
	client  *http.Client
	timeout time.Duration
}

// NewSuggestionsClient returns a client of the service at base. Each call ends after timeout.
func NewSuggestionsClient(base *url.URL, timeout time.Duration) SuggestionsClient {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// All calls go to one host; the default of two idle connections would reconnect for most of them.
	transport.MaxIdleConnsPerHost = 64
	return SuggestionsClient{
		base: base,
		client: &http.Client{
			Transport: tracing.Transport(transport),
			// A redirect is no answer of the service.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout: timeout,
	}
}

// CloseIdleConnections closes the connections that no call uses.
func (c SuggestionsClient) CloseIdleConnections() { c.client.CloseIdleConnections() }

// Suggestions returns the ids of the articles suggested for id. A response that is not 200, is no JSON list of
// strings, or is larger than 1 MiB is an error, and marks the call's span.
func (c SuggestionsClient) Suggestions(ctx context.Context, id ArticleID) ([]ArticleID, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(tracing.WithURLTemplate(ctx, suggestionsTemplate), http.MethodGet, c.url(id), nil)
	if err != nil {
		return nil, fmt.Errorf("building the request for suggestions of %q: %w", id, err)
	}
	req.Header.Set("Accept", "application/json")
	res, err := c.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling suggestions for %q: %w", id, err)
	}
	defer res.Body.Close()
	ids, err := readSuggestions(res)
	if err != nil {
		tracing.FailResponse(res, err)
		return nil, fmt.Errorf("reading suggestions for %q: %w", id, err)
	}
	return ids, nil
}

// url escapes id, whatever it holds, into one path segment below the base.
func (c SuggestionsClient) url(id ArticleID) string {
	segment := url.PathEscape(string(id))
	if segment == "." || segment == ".." {
		segment = strings.ReplaceAll(segment, ".", "%2E")
	}
	return strings.TrimSuffix(c.base.String(), "/") + "/suggestions/v1/" + segment
}

// invalidResponseError is an answer that is none.
type invalidResponseError struct{ reason string }

func (e *invalidResponseError) Error() string     { return e.reason }
func (e *invalidResponseError) ErrorType() string { return "invalid_response" }

func readSuggestions(res *http.Response) ([]ArticleID, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxSuggestionsBody+1))
	if res.StatusCode != http.StatusOK {
		// The body was read to keep the connection; what it says is not ours to show.
		return nil, &statusError{res.StatusCode}
	}
	if err != nil {
		return nil, err
	}
	if len(body) > maxSuggestionsBody {
		return nil, &invalidResponseError{fmt.Sprintf("response is larger than %d bytes", maxSuggestionsBody)}
	}
	var list []*ArticleID
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, &invalidResponseError{"response is not a JSON list of ids: " + jsonError(err).Error()}
	}
	if list == nil {
		return nil, &invalidResponseError{"response is null"}
	}
	ids := make([]ArticleID, len(list))
	for i, id := range list {
		if id == nil {
			return nil, &invalidResponseError{"response has null in the place of an id"}
		}
		ids[i] = *id
	}
	return ids, nil
}

// statusError is a response with a status other than 200.
type statusError struct{ status int }

func (e *statusError) Error() string     { return fmt.Sprintf("status is %d", e.status) }
func (e *statusError) ErrorType() string { return fmt.Sprint(e.status) }

// ParseSuggestionsHost reads SUGGESTIONS_SERVICE_HOST: the http or https URL of the service.
func ParseSuggestionsHost(value string) (*url.URL, error) {
	u, err := url.Parse(value)
	switch {
	case err != nil, u.Opaque != "":
		return nil, errors.New("not a URL such as http://localhost:8002")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("not an http or https URL such as http://localhost:8002")
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("the URL must have no query or fragment")
	}
	return u, nil
}
