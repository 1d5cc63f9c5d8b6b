package articles_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/throughline/throughline/apps/articles/articles"
)

const (
	article1 = `{"id":"00000000000000000000000000000001","author":"Ada","title":"Title 1","text":"Text."}`
	article2 = `{"id":"00000000000000000000000000000002","author":"Ada","title":"Title 2","text":"Text."}`
)

// with returns the article's JSON with a suggested key.
func with(article, suggested string) string {
	return strings.TrimSuffix(article, "}") + `,"suggested":` + suggested + "}"
}

func TestAPI(t *testing.T) {
	suggestions := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "1") {
			suggest(testID(2))(w, r)
			return
		}
		suggest()(w, r)
	})
	api := newAPI(t, suggestions.URL, options{})
	id := string(testID(1))
	bad := `{"error":{"code":"bad_request","message":"with_suggested must be 1, true, 0 or false"}}`
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/articles/v1/", 200, `{"articles":[` + article1 + "," + article2 + `]}`},
		{"/articles/v1", 200, `{"articles":[` + article1 + "," + article2 + `]}`},
		{"/articles/v1/?with_suggested=0", 200, `{"articles":[` + article1 + "," + article2 + `]}`},
		{"/articles/v1/?with_suggested=false", 200, `{"articles":[` + article1 + "," + article2 + `]}`},
		{"/articles/v1/?with_suggested=1", 200, `{"articles":[` + with(article1, "["+article2+"]") + "," + with(article2, "[]") + `]}`},
		{"/articles/v1?with_suggested=true", 200, `{"articles":[` + with(article1, "["+article2+"]") + "," + with(article2, "[]") + `]}`},
		{"/articles/v1/?with_suggested=2", 400, bad},
		{"/articles/v1/?with_suggested=", 400, bad},
		{"/articles/v1/?with_suggested=True", 400, bad},
		{"/articles/v1/?with_suggested=1&with_suggested=1", 400, bad},
		{"/articles/v1/?with_suggested=%zz", 400, `{"error":{"code":"bad_request","message":"the query is malformed"}}`},
		{"/articles/v1/" + id, 200, `{"article":` + article1 + `}`},
		{"/articles/v1/" + id + "/", 200, `{"article":` + article1 + `}`},
		{"/articles/v1/" + id + "/?with_suggested=1", 200, `{"article":` + with(article1, "["+article2+"]") + `}`},
		{"/articles/v1/" + id + "?with_suggested=yes", 400, bad},
		{"/articles/v1/nope", 404, `{"error":{"code":"not_found","message":"article not found"}}`},
		{"/articles/v1/..%2F..%2Fadmin/", 404, `{"error":{"code":"not_found","message":"article not found"}}`},
		{"/articles/v1/" + id + "/more", 404, `{"error":{"code":"not_found","message":"no such path"}}`},
		{"/articles/v1/%2F", 404, `{"error":{"code":"not_found","message":"no such path"}}`},
		{"/articles/v1/%2f/", 404, `{"error":{"code":"not_found","message":"no such path"}}`},
		{"/articles/v1/" + id + "%2F", 404, `{"error":{"code":"not_found","message":"article not found"}}`},
		{"/articles/v1/" + id + "//", 404, `{"error":{"code":"not_found","message":"no such path"}}`},
		{"/articles//v1/", 404, `{"error":{"code":"not_found","message":"no such path"}}`},
		{"/", 404, `{"error":{"code":"not_found","message":"no such path"}}`},
	} {
		t.Run(c.path, func(t *testing.T) {
			status, body := get(t, api.URL+c.path)
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			if diff := cmp.Diff(c.body+"\n", body); diff != "" {
				t.Errorf("body -want +got\n%s", diff)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	api := newAPI(t, "http://127.0.0.1:1", options{})
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"HEAD", "/articles/v1/", 200, ""},
		{"POST", "/articles/v1/", 405, "GET, HEAD"},
		{"POST", "/articles/v1", 405, "GET, HEAD"},
		{"DELETE", "/articles/v1/x/", 405, "GET, HEAD"},
		{"BREW", "/articles/v1/x", 405, "GET, HEAD"},
		{"POST", "/nope", 404, ""},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			req, _ := http.NewRequest(c.method, api.URL+c.path, nil)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != c.status || res.Header.Get("Allow") != c.allow {
				t.Errorf("status %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
			}
			if ct := res.Header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
				t.Errorf("Content-Type %q", ct)
			}
			body, _ := io.ReadAll(res.Body)
			if c.method != "HEAD" && !json.Valid(body) {
				t.Errorf("body is no JSON: %s", body)
			}
		})
	}
}

// TestEmptyListIsNotNull: no articles are [], and no suggestions too.
func TestEmptyListIsNotNull(t *testing.T) {
	body, err := json.Marshal(articles.ArticleList{Articles: []articles.Article{}})
	if err != nil || string(body) != `{"articles":[]}` {
		t.Errorf("%s, %v", body, err)
	}
}

func TestHealth(t *testing.T) {
	var h articles.Health
	next := http.NotFoundHandler()
	for _, c := range []struct {
		path  string
		ready bool
		want  int
	}{
		{"/healthz", false, 200},
		{"/readyz", false, 503},
		{"/readyz", true, 200},
		{"/other", true, 404},
	} {
		h.SetReady(c.ready)
		srv := newSuggestions(t, h.Handler(next).ServeHTTP)
		if status, _ := get(t, srv.URL+c.path); status != c.want {
			t.Errorf("%s ready=%t: status %d, want %d", c.path, c.ready, status, c.want)
		}
	}
}
