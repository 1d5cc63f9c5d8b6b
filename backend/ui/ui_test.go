package ui_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/throughline/throughline/backend/ui"
)

// get asks a real server, without the client's own decompression.
func get(t *testing.T, server *httptest.Server, method, path string, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func start(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(ui.Handler())
	t.Cleanup(server.Close)
	return server
}

func TestPaths(t *testing.T) {
	server := start(t)
	for _, tc := range []struct {
		path string
		want int
	}{
		{"/", 200},
		{"/search", 200},
		{"/search?service=articles-service", 200},
		{"/trace/5b8efff798038103d269b633813fc60c", 200},
		{"/trace/5b8efff798038103d269b633813fc60c/", 200},
		{"/LICENCES.txt", 200},
		{"/index.html", 404},
		{"/trace", 404},
		{"/trace/", 404},
		{"/trace/a/b", 404},
		{"/assets/", 404},
		{"/assets/nothing.js", 404},
		{"/assets/../index.html", 404},
		{"/assets/%2e%2e/index.html", 404},
		{"/dist/index.html", 404},
		{"/favicon.ico", 404},
		{"/api/native/v1/traces", 404},
	} {
		resp, body := get(t, server, http.MethodGet, tc.path, nil)
		if resp.StatusCode != tc.want {
			t.Errorf("GET %s: status %d, want %d", tc.path, resp.StatusCode, tc.want)
		}
		if resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("GET %s: no content security policy", tc.path)
		}
		if tc.want == 200 && len(body) == 0 {
			t.Errorf("GET %s: no body", tc.path)
		}
	}
}

func TestPageLoadsOnlyItsHashedAssets(t *testing.T) {
	server := start(t)
	resp, page := get(t, server, http.MethodGet, "/", nil)
	if got := resp.Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("page: Cache-Control %q, want no-cache", got)
	}
	assets := regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(string(page), -1)
	if len(assets) < 3 {
		t.Fatalf("page names %d assets, want script, style and icon: %s", len(assets), page)
	}
	types := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
	for _, m := range assets {
		resp, body := get(t, server, http.MethodGet, m[1], nil)
		if resp.StatusCode != 200 || len(body) == 0 {
			t.Errorf("GET %s: status %d, %d bytes", m[1], resp.StatusCode, len(body))
		}
		if got := resp.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("GET %s: Cache-Control %q, want immutable", m[1], got)
		}
		if got, want := resp.Header.Get("Content-Type"), types[m[1][strings.LastIndex(m[1], ".")+1:]]; got != want {
			t.Errorf("GET %s: Content-Type %q, want %q", m[1], got, want)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s: content sniffing is not forbidden", m[1])
		}
	}
	if regexp.MustCompile(`<script[^>]*>[^<]|<style|https?://|\son\w+=`).Match(page) {
		t.Errorf("page has inline code or outside resources: %s", page)
	}
}

func TestGzip(t *testing.T) {
	server := start(t)
	_, page := get(t, server, http.MethodGet, "/", nil)
	script := regexp.MustCompile(`/assets/[^"]+\.js`).FindString(string(page))
	plainResp, plain := get(t, server, http.MethodGet, script, nil)
	if plainResp.Header.Get("Content-Encoding") != "" {
		t.Errorf("compressed without being asked")
	}
	for _, tc := range []struct {
		accept string
		want   bool
	}{
		{"gzip, deflate, br", true},
		{"br;q=1.0, gzip;q=0.8", true},
		{"*", true},
		{"gzip;q=0", false},
		{"br", false},
		{";;;,,", false},
	} {
		resp, body := get(t, server, http.MethodGet, script, map[string]string{"Accept-Encoding": tc.accept})
		if got := resp.Header.Get("Content-Encoding") == "gzip"; got != tc.want {
			t.Errorf("Accept-Encoding %q: gzip %v, want %v", tc.accept, got, tc.want)
			continue
		}
		if resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: no Vary", tc.accept)
		}
		if !tc.want {
			continue
		}
		if resp.Header.Get("ETag") == plainResp.Header.Get("ETag") {
			t.Errorf("both encodings have the tag %s", resp.Header.Get("ETag"))
		}
		r, err := gzip.NewReader(strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		unzipped, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if string(unzipped) != string(plain) {
			t.Errorf("Accept-Encoding %q: unzipped differs from the plain file", tc.accept)
		}
	}
}

func TestRevalidation(t *testing.T) {
	server := start(t)
	first, _ := get(t, server, http.MethodGet, "/", map[string]string{"Accept-Encoding": "gzip"})
	etag := first.Header.Get("ETag")
	if etag == "" {
		t.Fatal("the page has no ETag")
	}
	for header, want := range map[string]int{
		etag:                        304,
		"W/" + etag:                 304,
		`"other", ` + etag:          304,
		"*":                         304,
		`"other"`:                   200,
		strings.Trim(etag, `"`)[:6]: 200,
	} {
		resp, body := get(t, server, http.MethodGet, "/trace/1", map[string]string{"If-None-Match": header})
		if resp.StatusCode != want || (want == 304 && len(body) != 0) {
			t.Errorf("If-None-Match %s: status %d with %d bytes, want %d", header, resp.StatusCode, len(body), want)
		}
	}
}

func TestMethods(t *testing.T) {
	server := start(t)
	resp, body := get(t, server, http.MethodHead, "/", nil)
	if resp.StatusCode != 200 || len(body) != 0 || resp.ContentLength <= 0 {
		t.Errorf("HEAD /: status %d, %d bytes, Content-Length %d", resp.StatusCode, len(body), resp.ContentLength)
	}
	resp, _ = get(t, server, http.MethodPost, "/", nil)
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST /: status %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestPolicyForbidsInlineCode(t *testing.T) {
	server := start(t)
	resp, _ := get(t, server, http.MethodGet, "/", nil)
	policy := resp.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("policy %q lets in inline code or other origins", policy)
	}
}
