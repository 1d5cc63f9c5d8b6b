package tracing

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The HTTP attributes are those of the stable conventions:
// https://opentelemetry.io/docs/specs/semconv/http/http-spans/

// methodOther is the name of methods outside RFC 9110, RFC 5789 (PATCH) and QUERY, which are client input of any
// cardinality.
const methodOther = "HTTP"

// methodAttribute returns the attribute of a known method. It is prepared, so that no string is boxed per request.
func methodAttribute(method string) (kv attribute.KeyValue, known bool) {
	switch method {
	case http.MethodGet, "":
		return semconv.HTTPRequestMethodGet, true
	case http.MethodHead:
		return semconv.HTTPRequestMethodHead, true
	case http.MethodPost:
		return semconv.HTTPRequestMethodPost, true
	case http.MethodPut:
		return semconv.HTTPRequestMethodPut, true
	case http.MethodPatch:
		return semconv.HTTPRequestMethodPatch, true
	case http.MethodDelete:
		return semconv.HTTPRequestMethodDelete, true
	case http.MethodConnect:
		return semconv.HTTPRequestMethodConnect, true
	case http.MethodOptions:
		return semconv.HTTPRequestMethodOptions, true
	case http.MethodTrace:
		return semconv.HTTPRequestMethodTrace, true
	case "QUERY":
		return semconv.HTTPRequestMethodQuery, true
	}
	return semconv.HTTPRequestMethodOther, false
}

// methodName is the method as a span name has it.
func methodName(method string) string {
	if _, known := methodAttribute(method); !known {
		return methodOther
	}
	if method == "" {
		return http.MethodGet
	}
	return method
}

// routeOf turns a pattern of [http.ServeMux], "[METHOD ][HOST]/[PATH]", into its path.
func routeOf(pattern string) string {
	i := strings.IndexByte(pattern, '/')
	if i < 0 {
		return ""
	}
	return strings.TrimSuffix(pattern[i:], "{$}")
}

// splitHostPort splits a Host header or URL authority; port is 0 when there is none or it is no number.
func splitHostPort(hostport string) (host string, port int) {
	host = hostport
	if strings.HasPrefix(hostport, "[") {
		end := strings.IndexByte(hostport, ']')
		if end < 0 {
			return "", 0
		}
		host, hostport = hostport[1:end], hostport[end+1:]
	} else if strings.Count(hostport, ":") > 1 {
		return hostport, 0 // a bare IPv6 address
	}
	if i := strings.LastIndexByte(hostport, ':'); i >= 0 {
		if len(host) > i && host[i] == ':' {
			host = host[:i]
		}
		if n, err := strconv.ParseUint(hostport[i+1:], 10, 16); err == nil {
			port = int(n)
		}
	}
	return host, port
}

// clientAddress is the first address of X-Forwarded-For, else the peer's.
func clientAddress(r *http.Request) string {
	if xff := r.Header["X-Forwarded-For"]; len(xff) > 0 {
		first, _, _ := strings.Cut(xff[0], ",")
		first = strings.TrimSpace(first)
		if addr, err := netip.ParseAddr(first); err == nil && addr.Zone() == "" {
			return first
		}
		if host, _, err := net.SplitHostPort(first); err == nil {
			if _, err := netip.ParseAddr(host); err == nil {
				return host
			}
		}
	}
	peer, _ := splitHostPort(r.RemoteAddr)
	return peer
}

// protocolVersion is "1.1" of "HTTP/1.1" and "2" of "HTTP/2.0".
func protocolVersion(proto string) string {
	switch proto {
	case "HTTP/1.1":
		return "1.1"
	case "HTTP/1.0":
		return "1.0"
	case "HTTP/2.0":
		return "2"
	case "HTTP/3.0":
		return "3"
	}
	return strings.TrimPrefix(proto, "HTTP/")
}

// redacted stands for a value that must not be recorded.
const redacted = "REDACTED"

// redactQuery replaces the values of parameters that carry credentials: the list of the conventions (signed URLs of
// AWS, Azure and Google) and the usual names.
func redactQuery(query string) string {
	if query == "" || !strings.Contains(query, "=") {
		return query
	}
	var (
		b       strings.Builder
		changed bool
	)
	for i, pair := range strings.Split(query, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		name, value, found := strings.Cut(pair, "=")
		if found && value != "" && sensitiveParameter(name) {
			b.WriteString(name)
			b.WriteString("=" + redacted)
			changed = true
			continue
		}
		b.WriteString(pair)
	}
	if !changed {
		return query
	}
	return b.String()
}

func sensitiveParameter(name string) bool {
	if unescaped, err := url.QueryUnescape(name); err == nil {
		name = unescaped
	}
	switch strings.ToLower(name) {
	case "awsaccesskeyid", "signature", "sig", "x-goog-signature", "x-amz-signature", "x-amz-credential",
		"x-amz-security-token", "x-goog-credential",
		"token", "access_token", "refresh_token", "id_token", "password", "passwd", "secret", "client_secret",
		"api_key", "apikey", "api-key", "key", "auth", "authorization", "code":
		return true
	}
	return false
}

// fullURL is u as url.full wants it: without user and password, and with sensitive parameters redacted.
func fullURL(u *url.URL) string {
	if u.User == nil && u.RawQuery == "" {
		return u.String()
	}
	c := *u
	if c.User != nil {
		c.User = url.UserPassword(redacted, redacted)
	}
	c.RawQuery = redactQuery(c.RawQuery)
	return c.String()
}
