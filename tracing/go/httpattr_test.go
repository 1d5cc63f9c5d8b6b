package tracing

import (
	"net/http"
	"net/url"
	"testing"
)

func TestSplitHostPort(t *testing.T) {
	for in, want := range map[string]struct {
		host string
		port int
	}{
		"":                   {"", 0},
		"example.com":        {"example.com", 0},
		"example.com:8080":   {"example.com", 8080},
		"example.com:":       {"example.com", 0},
		"example.com:http":   {"example.com", 0},
		"example.com:70000":  {"example.com", 0},
		"192.0.2.1:1":        {"192.0.2.1", 1},
		"[2001:db8::1]:443":  {"2001:db8::1", 443},
		"[2001:db8::1]":      {"2001:db8::1", 0},
		"[2001:db8::1]:":     {"2001:db8::1", 0},
		"2001:db8::1":        {"2001:db8::1", 0},
		"[2001:db8::1":       {"", 0},
		"[fe80::1%25eth0]:1": {"fe80::1%25eth0", 1},
		"@":                  {"@", 0}, // what net/http calls a unix socket's peer
	} {
		if host, port := splitHostPort(in); host != want.host || port != want.port {
			t.Errorf("%q: %q, %d", in, host, port)
		}
	}
}

func TestClientAddress(t *testing.T) {
	for forwarded, want := range map[string]string{
		"":                               "192.0.2.1",
		"203.0.113.9":                    "203.0.113.9",
		"203.0.113.9, 10.0.0.1":          "203.0.113.9",
		"2001:db8::1":                    "2001:db8::1",
		"203.0.113.9:1234":               "203.0.113.9",
		"[2001:db8::1]:1234":             "2001:db8::1",
		"unknown":                        "192.0.2.1",
		"<script>":                       "192.0.2.1",
		"fe80::1%eth0":                   "192.0.2.1",
		"example.com:80, 203.0.113.9":    "192.0.2.1",
		",203.0.113.9":                   "192.0.2.1",
		"999.0.0.1":                      "192.0.2.1",
		"203.0.113.9\x00, and much more": "192.0.2.1",
	} {
		r := &http.Request{RemoteAddr: "192.0.2.1:5", Header: http.Header{}}
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		if got := clientAddress(r); got != want {
			t.Errorf("%q: %q, want %q", forwarded, got, want)
		}
	}
}

func TestRedaction(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"flag":                          "flag",
		"q=1&page=2":                    "q=1&page=2",
		"token=s3cret":                  "token=REDACTED",
		"q=1&Access_Token=s3cret&x=":    "q=1&Access_Token=REDACTED&x=",
		"sig=a%2Fb&X-Amz-Signature=abc": "sig=REDACTED&X-Amz-Signature=REDACTED",
		"%73ig=s3cret":                  "%73ig=REDACTED",
		"sig":                           "sig",
		"sig=":                          "sig=",
		"a=1;sig=s3cret":                "a=1;sig=s3cret", // one parameter, called a
		"&&=&a=1":                       "&&=&a=1",
		"%zz=1":                         "%zz=1",
	} {
		if got := redactQuery(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	u, _ := url.Parse("https://user:s3cret@example.com/a%2Fb?key=s3cret&q=1#f")
	if got := fullURL(u); got != "https://REDACTED:REDACTED@example.com/a%2Fb?key=REDACTED&q=1#f" || u.User.String() != "user:s3cret" {
		t.Errorf("%q of %v", got, u)
	}
}

func TestRouteOf(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "GET /": "/", "/a/{id}": "/a/{id}", "GET /a/{id}": "/a/{id}", "GET example.com/a/": "/a/",
		"example.com/": "/", "/a/{$}": "/a/", "GET /{path...}": "/{path...}", "nonsense": "",
	} {
		if got := routeOf(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMethods(t *testing.T) {
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "QUERY"} {
		if kv, known := methodAttribute(m); !known || kv.Value.AsString() != m || methodName(m) != m {
			t.Errorf("%s: %s, %t, %s", m, kv.Value.AsString(), known, methodName(m))
		}
	}
	for _, m := range []string{"get", "BREW", "GET /x"} {
		if kv, known := methodAttribute(m); known || kv.Value.AsString() != "_OTHER" || methodName(m) != "HTTP" {
			t.Errorf("%s: %s, %t, %s", m, kv.Value.AsString(), known, methodName(m))
		}
	}
	if methodName("") != "GET" { // a client's request may leave it out
		t.Error(methodName(""))
	}
	if got := truncate("ABCDÄ", 5); got != "ABCD" {
		t.Errorf("truncated to %q", got)
	}
}

func TestProtocolVersion(t *testing.T) {
	for in, want := range map[string]string{"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2", "HTTP/3.0": "3", "": ""} {
		if got := protocolAttribute(in).Value.AsString(); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
