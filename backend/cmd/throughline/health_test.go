package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status = http.StatusTeapot
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	health := func(url string) error {
		return run(t.Context(), []string{"health", "--url", url}, nil, io.Discard, io.Discard)
	}
	if err := health(server.URL); err != nil {
		t.Errorf("a ready server: %v", err)
	}
	status = http.StatusServiceUnavailable
	if err := health(server.URL + "/"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a server that is not ready: %v", err)
	}
	server.Close()
	if err := health(server.URL); err == nil || isUsage(err) {
		t.Errorf("no server: %v", err)
	}
	if err := health("http://[::1"); !isUsage(err) {
		t.Errorf("a broken URL: %v", err)
	}
}
