package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// BackendURLEnv is the variable that says where spans go.
const BackendURLEnv = "TRACING_BACKEND_URL"

// destination is an exporter that is configured but not open.
type destination struct {
	name string // for logs and stats; holds no secret
	open func(context.Context) (sdktrace.SpanExporter, error)
}

// destinationsFromEnv reads OTEL_TRACES_EXPORTER and what belongs to it. backendURL wins over TRACING_BACKEND_URL.
func destinationsFromEnv(backendURL string) ([]destination, error) {
	var (
		destinations []destination
		errs         []error
	)
	for name := range strings.SplitSeq(cmp.Or(env("OTEL_TRACES_EXPORTER"), "otlp"), ",") {
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "", "none":
		case "otlp":
			if _, err := headersFromEnv(); err != nil {
				errs = append(errs, err)
			}
			d, err := otlpDestinations(backendURL)
			if err != nil {
				errs = append(errs, err)
			}
			destinations = append(destinations, d...)
		case "console", "logging":
			destinations = append(destinations, destination{
				name: "console",
				open: func(context.Context) (sdktrace.SpanExporter, error) { return stdouttrace.New() },
			})
		default:
			errs = append(errs, fmt.Errorf("OTEL_TRACES_EXPORTER %q is not one of otlp, console, none", name))
		}
	}
	return destinations, errors.Join(errs...)
}

// otlpDestinations returns the backends of TRACING_BACKEND_URL or, without it, the one of the OTEL_* variables.
func otlpDestinations(backendURL string) ([]destination, error) {
	protocol := cmp.Or(env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), env("OTEL_EXPORTER_OTLP_PROTOCOL"))
	if backendURL = strings.TrimSpace(backendURL); backendURL == "" {
		backendURL = env(BackendURLEnv)
	}
	backends, err := parseBackends(backendURL, protocol)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", BackendURLEnv, err)
	}
	if len(backends) > 0 {
		var destinations []destination
		for _, b := range backends {
			destinations = append(destinations, destination{name: b.endpoint, open: b.open})
		}
		return destinations, nil
	}
	// The exporters read the endpoint from the environment themselves.
	b := backend{protocol: cmp.Or(protocol, protocolProtobuf)}
	if b.protocol != protocolGRPC && b.protocol != protocolProtobuf && b.protocol != protocolJSON {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL %q is not one of grpc, http/protobuf, http/json", b.protocol)
	}
	endpoint := cmp.Or(env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), env("OTEL_EXPORTER_OTLP_ENDPOINT"), "OTLP default endpoint")
	return []destination{{name: redactUserinfo(endpoint), open: b.open}}, nil
}

// open builds the exporter. An empty endpoint leaves it to the exporter to read the environment; headers,
// certificates, timeout and compression always come from there. It does not dial.
func (b backend) open(ctx context.Context) (sdktrace.SpanExporter, error) {
	headers := b.headers
	if len(headers) > 0 {
		// The option replaces what the exporter read from the environment.
		// What cannot be read was refused with the destinations.
		headers, _ = headersFromEnv()
		maps.Copy(headers, b.headers)
	}
	if b.protocol == protocolGRPC {
		var opts []otlptracegrpc.Option
		if b.endpoint != "" {
			opts = append(opts, otlptracegrpc.WithEndpointURL(b.url()))
			if b.insecure {
				// A certificate in the environment, meant for another backend, would turn TLS on.
				opts = append(opts, otlptracegrpc.WithTLSCredentials(nil))
			}
		}
		if len(headers) > 0 {
			opts = append(opts, otlptracegrpc.WithHeaders(headers))
		}
		return otlptracegrpc.New(ctx, opts...)
	}
	var opts []otlptracehttp.Option
	if b.protocol == protocolJSON {
		opts = append(opts, otlptracehttp.WithEncoding(otlptracehttp.EncodingJSON))
	}
	if b.endpoint != "" {
		opts = append(opts, otlptracehttp.WithEndpointURL(b.url()))
		if b.insecure {
			opts = append(opts, otlptracehttp.WithTLSClientConfig(nil)) // as above
		}
	}
	if len(headers) > 0 {
		opts = append(opts, otlptracehttp.WithHeaders(headers))
	}
	return otlptracehttp.New(ctx, opts...)
}

// headersFromEnv reads OTEL_EXPORTER_OTLP_(TRACES_)HEADERS as the exporters do: name=value pairs separated by commas,
// percent-encoded. The error names a variable that cannot be read without its value: the exporters would write that to
// the log, and it usually holds a token.
func headersFromEnv() (map[string]string, error) {
	var errs []error
	headers := make(map[string]string)
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		value := env(variable)
		if value == "" {
			continue
		}
		clear(headers) // the signal's own variable replaces the general one
		for pair := range strings.SplitSeq(value, ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			name, value, found := strings.Cut(pair, "=")
			name = strings.ToLower(strings.TrimSpace(name))
			value, err := url.PathUnescape(strings.TrimSpace(value))
			if !found || err != nil || !validHeaderName(name) {
				errs = append(errs, fmt.Errorf("%s: want name=value, separated by commas and percent-encoded", variable))
				break
			}
			headers[name] = value
		}
	}
	return headers, errors.Join(errs...)
}

// env returns a variable without surrounding space; empty means unset, as the specification asks.
func env(name string) string { return strings.TrimSpace(os.Getenv(name)) }
