package tracing

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// Protocols of OTLP, as OTEL_EXPORTER_OTLP_PROTOCOL spells them.
const (
	protocolGRPC     = "grpc"
	protocolProtobuf = "http/protobuf"
	protocolJSON     = "http/json"
)

// backend is one destination of spans, read from TRACING_BACKEND_URL.
type backend struct {
	protocol string
	// endpoint is host:port for gRPC and the whole URL that is posted to for HTTP.
	endpoint string
	insecure bool
	headers  map[string]string
}

// url is the form both OTLP exporters take.
func (b backend) url() string {
	if b.protocol != protocolGRPC {
		return b.endpoint
	}
	if b.insecure {
		return "http://" + b.endpoint
	}
	return "https://" + b.endpoint
}

// parseBackends reads a value of TRACING_BACKEND_URL: backends separated by commas, each a host:port or a URL,
// optionally followed by ";name=value" request headers of that backend alone (values percent-encoded, as in
// OTEL_EXPORTER_OTLP_HEADERS) where "bearer=TOKEN" stands for "authorization=Bearer TOKEN":
//
//	localhost:4317,https://otlp.example.com/v1/traces;bearer=s3cret;x-team=core
//
// protocol is the value of OTEL_EXPORTER_OTLP_PROTOCOL, "" for unset. An empty value gives no backend. All faults are
// reported at once; no message shows a header's value.
func parseBackends(value, protocol string) ([]backend, error) {
	if strings.TrimSpace(value) == "" {
		return nil, nil
	}
	var (
		backends []backend
		errs     []error
	)
	for entry := range strings.SplitSeq(value, ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		address, params, _ := strings.Cut(entry, ";")
		b, err := parseBackend(address, protocol)
		if err == nil {
			b.headers, err = parseBackendHeaders(params)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("backend %q: %w", redactUserinfo(strings.TrimSpace(address)), err))
			continue
		}
		backends = append(backends, b)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return backends, nil
}

// parseBackend reads one address. A URL on port 4318 or with a path, and host:4318, is HTTP; the rest is gRPC; protocol
// wins over that guess. host:port and http are plaintext, https is TLS.
func parseBackend(address, protocol string) (backend, error) {
	address = strings.TrimSpace(address)
	switch protocol {
	case "", protocolGRPC, protocolProtobuf, protocolJSON:
	default:
		return backend{}, fmt.Errorf("protocol %q is not one of grpc, http/protobuf, http/json", protocol)
	}
	if strings.ContainsAny(address, " \t\r\n") {
		return backend{}, errors.New("host must not hold spaces")
	}
	u, hasScheme, err := parseAddress(address)
	if err != nil {
		return backend{}, err
	}
	port, err := checkPort(u)
	if err != nil {
		return backend{}, err
	}
	p := strings.TrimSuffix(u.Path, "/")
	if protocol == "" {
		protocol = protocolGRPC
		if port == "4318" || p != "" {
			protocol = protocolProtobuf
		}
	}
	insecure := u.Scheme == "http"
	if protocol == protocolGRPC {
		if port == "" {
			switch {
			case !hasScheme:
				port = "4317"
			case insecure:
				port = "80"
			default:
				port = "443"
			}
		}
		return backend{protocol: protocol, endpoint: net.JoinHostPort(u.Hostname(), port), insecure: insecure}, nil
	}
	host := u.Host
	if port == "" && !hasScheme {
		host = net.JoinHostPort(u.Hostname(), "4318")
	}
	if !strings.HasSuffix(p, "/v1/traces") {
		p = path.Join("/", p, "v1/traces")
	}
	return backend{protocol: protocol, endpoint: u.Scheme + "://" + host + p, insecure: insecure}, nil
}

// parseAddress splits a host:port or URL; hasScheme tells which it was.
func parseAddress(address string) (u *url.URL, hasScheme bool, err error) {
	hasScheme = strings.Contains(address, "://")
	raw := address
	if !hasScheme {
		raw = "http://" + address
	}
	u, err = url.Parse(raw)
	if err != nil {
		// The parser's message may hold the password of the address.
		if strings.Contains(err.Error(), "port") {
			return nil, false, errors.New("port is not a number from 1 to 65535")
		}
		return nil, false, errors.New("host or URL is malformed")
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, false, fmt.Errorf("scheme %q is not http or https", u.Scheme)
	case u.User != nil:
		return nil, false, errors.New("credentials do not belong in the URL: use ;bearer=TOKEN or ;authorization=… behind it")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, false, errors.New("query is not supported")
	case u.Fragment != "":
		return nil, false, errors.New("fragment is not supported")
	case u.Hostname() == "":
		return nil, false, errors.New("host is missing")
	}
	return u, hasScheme, nil
}

// checkPort returns u's port, which may be absent.
func checkPort(u *url.URL) (string, error) {
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "", errors.New("port is missing behind the colon")
		}
		return "", nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return port, nil
}

// parseBackendHeaders reads the ";name=value" parameters behind a backend's address.
func parseBackendHeaders(params string) (map[string]string, error) {
	var headers map[string]string
	for param := range strings.SplitSeq(params, ";") {
		if strings.TrimSpace(param) == "" {
			continue
		}
		name, value, found := strings.Cut(param, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !found || !validHeaderName(name) {
			return nil, fmt.Errorf("header %q is not of the form name=value", name)
		}
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if err != nil || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("header %q has a value that is not percent-encoded text", name)
		}
		if name == "bearer" {
			name, value = "authorization", "Bearer "+value
		}
		if headers == nil {
			headers = make(map[string]string)
		}
		headers[name] = value
	}
	return headers, nil
}

// validHeaderName reports whether name is a token of RFC 9110, 5.6.2.
func validHeaderName(name string) bool {
	if name == "" {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if ('a' > c || c > 'z') && ('0' > c || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return true
}

// redactUserinfo hides what may be a password in an address that is shown in a message.
func redactUserinfo(address string) string {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		scheme, _, found := strings.Cut(address[:at], "://")
		if found {
			return scheme + "://…" + address[at:]
		}
		return "…" + address[at:]
	}
	return address
}
