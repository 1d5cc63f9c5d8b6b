package requestcontext

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

func newRequest(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil) // want `http.NewRequest makes a request without ctx`
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

func served(w http.ResponseWriter, r *http.Request) {
	req, err := http.NewRequest(http.MethodPost, "http://upstream", strings.NewReader("x")) // want `http.NewRequest makes a request without r.Context\(\)`
	if err == nil {
		_, _ = http.DefaultClient.Do(req)
	}
}

func inLiteral(ctx context.Context) func() (*http.Request, error) {
	return func() (*http.Request, error) {
		return http.NewRequest("GET", "http://upstream", nil) // want `http.NewRequest makes a request without ctx`
	}
}

func shortcuts(ctx context.Context, client *http.Client) {
	_, _ = http.Get("http://upstream")                       // want `http.Get sends a request without ctx: make it with http.NewRequestWithContext and call Do`
	_, _ = http.Head("http://upstream")                      // want `http.Head sends`
	_, _ = http.Post("http://upstream", "text/plain", nil)   // want `http.Post sends`
	_, _ = http.PostForm("http://upstream", url.Values{})    // want `http.PostForm sends`
	_, _ = client.Get("http://upstream")                     // want `client.Get sends`
	_, _ = client.Post("http://upstream", "text/plain", nil) // want `client.Post sends`
}

func literal(ctx context.Context, client *http.Client, u *url.URL) {
	req := &http.Request{Method: http.MethodGet, URL: u} // want `http.Request literal is sent without ctx`
	_, _ = client.Do(req)
	_, _ = client.Do(&http.Request{URL: u}) // want `http.Request literal is sent without ctx`
}

func givenLater(ctx context.Context, client *http.Client, u *url.URL) {
	req, err := http.NewRequest(http.MethodGet, u.String(), nil)
	if err != nil {
		return
	}
	req = req.WithContext(ctx)
	_, _ = client.Do(req)

	clone, _ := http.NewRequest(http.MethodGet, u.String(), nil)
	_, _ = client.Do(clone.Clone(ctx))

	made := &http.Request{URL: u}
	_, _ = client.Do(made.WithContext(ctx))
}

func noContext(client *http.Client) {
	req, _ := http.NewRequest(http.MethodGet, "http://upstream", nil)
	_, _ = client.Do(req)
	_, _ = http.Get("http://upstream")
}

// A literal that is not sent is a value like any other.
func unsent(ctx context.Context, match func(*http.Request) bool, u *url.URL) bool {
	return match(&http.Request{URL: u})
}
