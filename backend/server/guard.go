package server

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/throughline/throughline/backend/access"
	"github.com/throughline/throughline/backend/api"
)

// guard is what the listeners ask for. Each part may be nil.
type guard struct {
	certificates *access.Certificates
	otlp, api    *access.Tokens
}

func newGuard(config Config) (g guard, err error) {
	if t := config.TLS; t != (TLS{}) {
		if t.Cert == "" || t.Key == "" {
			return g, errors.New("TLS: --tls-cert and --tls-key are given together, and --tls-client-ca with them")
		}
		if g.certificates, err = access.ReadCertificates(t.Cert, t.Key, t.ClientCA, config.Log); err != nil {
			return g, err
		}
	}
	if g.otlp, err = tokens("--otlp-token", config.OTLPToken, config.Log); err != nil {
		return g, err
	}
	g.api, err = tokens("--api-token", config.APIToken, config.Log)
	return g, err
}

func tokens(flag string, t Token, log *slog.Logger) (*access.Tokens, error) {
	var tokens *access.Tokens
	var err error
	switch {
	case t == (Token{}):
		return nil, nil
	case t.Value != "" && t.File != "":
		return nil, fmt.Errorf("%s and %s-file: give one of them", flag, flag)
	case t.File != "":
		flag += "-file"
		tokens, err = access.ReadTokens(t.File, log)
	default:
		tokens, err = access.NewTokens(t.Value)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return tokens, nil
}

// warn says which ports other machines can use freely, or read along.
func (g *guard) warn(config Config) {
	for _, l := range []struct {
		flag, address, token string
		tokens               *access.Tokens
		mutual               bool
	}{
		{"--listen", config.Listen, "--api-token", g.api, false},
		{"--otlp-grpc", config.OTLPGRPC, "--otlp-token", g.otlp, config.TLS.ClientCA != ""},
		{"--otlp-http", config.OTLPHTTP, "--otlp-token", g.otlp, config.TLS.ClientCA != ""},
	} {
		if l.address == "" || api.Loopback(l.address) {
			continue
		}
		switch {
		case l.tokens == nil && !l.mutual:
			config.Log.Warn("other machines may use this port without a token", "listener", l.flag, "address", l.address, "protect_by", l.token)
		case g.certificates == nil:
			config.Log.Warn("the token of this port goes over the network in plaintext", "listener", l.flag, "address", l.address, "protect_by", "--tls-cert")
		}
	}
}
