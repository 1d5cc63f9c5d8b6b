package system

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// Ports are the TCP ports of the whole system, all on 127.0.0.1.
type Ports struct {
	UI, OTLPGRPC, OTLPHTTP, JaegerGRPC, Articles, Suggestions int
}

// DefaultPorts are the documented ports, each moved by offset.
func DefaultPorts(offset int) Ports {
	return Ports{
		UI:          16686 + offset,
		OTLPGRPC:    4317 + offset,
		OTLPHTTP:    4318 + offset,
		JaegerGRPC:  16685 + offset,
		Articles:    8001 + offset,
		Suggestions: 8002 + offset,
	}
}

type port struct {
	number  int
	use     string
	flag    string
	backend bool
}

func (p Ports) list() []port {
	return []port{
		{p.UI, "the UI and the APIs", "--ui-port", true},
		{p.OTLPGRPC, "OTLP over gRPC", "--otlp-grpc-port", true},
		{p.OTLPHTTP, "OTLP over HTTP", "--otlp-http-port", true},
		{p.JaegerGRPC, "Jaeger's query service", "--jaeger-grpc-port", true},
		{p.Articles, "articles", "--articles-port", false},
		{p.Suggestions, "suggestions", "--suggestions-port", false},
	}
}

// check says which ports cannot be used, all of them at once: the services', and
// with backend those of the backend too.
func (p Ports) check(backend bool) error {
	var errs []error
	uses := map[int]string{}
	taken := false
	for _, x := range p.list() {
		if x.backend && !backend {
			continue
		}
		if x.number < 1 || x.number > 65535 {
			errs = append(errs, fmt.Errorf("port %d for %s: want 1 to 65535 (%s, --port-offset)", x.number, x.use, x.flag))
			continue
		}
		if other, ok := uses[x.number]; ok {
			errs = append(errs, fmt.Errorf("port %d is both for %s and for %s: change one with %s", x.number, other, x.use, x.flag))
			continue
		}
		uses[x.number] = x.use
		l, err := net.Listen("tcp", loopback(x.number))
		if err != nil {
			taken = true
			errs = append(errs, fmt.Errorf("port %d for %s is taken (%w): change it with %s", x.number, x.use, cause(err), x.flag))
			continue
		}
		l.Close()
	}
	if taken {
		errs = append(errs, errors.New("or move all ports at once with --port-offset 1000 (make up PORT_OFFSET=1000)"))
	}
	return errors.Join(errs...)
}

// cause leaves out what a net error says of the address, which the message
// around it has already.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
