package server

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

type listeners struct {
	web, grpc, http, jaeger net.Listener
}

// listen opens all addresses or none.
func listen(config Config) (*listeners, error) {
	l := &listeners{}
	for _, a := range []struct {
		to            *net.Listener
		address, flag string
		required      bool
	}{
		{&l.web, config.Listen, "--listen", true},
		{&l.grpc, config.OTLPGRPC, "--otlp-grpc", false},
		{&l.http, config.OTLPHTTP, "--otlp-http", false},
		{&l.jaeger, config.JaegerGRPC, "--jaeger-grpc", false},
	} {
		if a.address == "" && !a.required {
			continue
		}
		opened, err := net.Listen("tcp", a.address)
		if err != nil {
			l.close()
			return nil, listenError(a.address, a.flag, err)
		}
		*a.to = opened
	}
	return l, nil
}

// ErrPortTaken is wrapped by the error for an address that another program, or
// another listener of this one, has.
var ErrPortTaken = errors.New("already in use")

func listenError(address, flag string, err error) error {
	_, port, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return fmt.Errorf("%s %q: want host:port: %w", flag, address, err)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s %q: port %s: %w; end the program that has it, or choose another by %s", flag, address, port, ErrPortTaken, flag)
	}
	return fmt.Errorf("%s %q: %w", flag, address, err)
}

func (l *listeners) close() {
	for _, one := range []net.Listener{l.web, l.grpc, l.http, l.jaeger} {
		if one != nil {
			one.Close()
		}
	}
}

func (l *listeners) addresses() Addresses {
	return Addresses{
		Listen: addressOf(l.web), OTLPGRPC: addressOf(l.grpc), OTLPHTTP: addressOf(l.http), JaegerGRPC: addressOf(l.jaeger),
	}
}

func addressOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// reachable replaces the unspecified address by loopback.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
