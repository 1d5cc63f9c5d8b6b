package main

import (
	"net/url"
	"strings"
	"testing"
)

func TestHealthAsksTheRunningService(t *testing.T) {
	p := start(t, "HOST=0.0.0.0")
	address, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		port, host, says string
	}{
		{address.Port(), "0.0.0.0", ""},
		{address.Port(), "127.0.0.1", ""},
		{"1", "127.0.0.1", "asking for health"},
	} {
		check := command("PORT="+test.port, "HOST="+test.host)
		check.Args = append(check.Args, "health")
		out, err := check.CombinedOutput()
		if (err != nil) != (test.says != "") || !strings.Contains(string(out), test.says) {
			t.Errorf("%s:%s: %v: %s", test.host, test.port, err, out)
		}
	}
}
