package access

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// Certificates are a server's certificate with its key, and the authorities
// whose clients it takes.
type Certificates struct {
	files   *files
	current atomic.Pointer[certificates]
}

type certificates struct {
	own tls.Certificate
	// clients is nil when clients need no certificate.
	clients *x509.CertPool
	// configs are kept per list of protocols, because a session is resumed only
	// under the config that it was begun under.
	plain, mutual map[string]*tls.Config
}

// The protocols that listeners speak over TLS, most wanted first.
var (
	HTTP = []string{"h2", "http/1.1"}
	GRPC = []string{"h2"}
)

// ReadCertificates reads PEM files; clientCA may be empty.
func ReadCertificates(cert, key, clientCA string, log *slog.Logger) (*Certificates, error) {
	if cert == "" || key == "" {
		return nil, errNoFiles
	}
	names := []string{cert, key}
	if clientCA != "" {
		names = append(names, clientCA)
	}
	c := &Certificates{}
	var err error
	if c.files, err = newFiles(log, c.load, names...); err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	return c, nil
}

func (c *Certificates) load(contents [][]byte) error {
	own, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return err
	}
	n := &certificates{own: own, plain: map[string]*tls.Config{}, mutual: map[string]*tls.Config{}}
	if len(contents) > 2 {
		n.clients = x509.NewCertPool()
		if !n.clients.AppendCertsFromPEM(bytes.TrimSpace(contents[2])) {
			return fmt.Errorf("no certificate of an authority in the client CA file")
		}
	}
	for _, protocols := range [][]string{HTTP, GRPC} {
		base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, Certificates: []tls.Certificate{own}}
		n.plain[protocols[len(protocols)-1]] = base
		mutual := base.Clone()
		if n.clients != nil {
			mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, n.clients
		}
		n.mutual[protocols[len(protocols)-1]] = mutual
	}
	c.current.Store(n)
	return nil
}

// Config is for a listener that speaks protocols, HTTP or GRPC; mutual has its
// clients show a certificate when there is a client CA.
func (c *Certificates) Config(protocols []string, mutual bool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c.files.refresh(c.load)
			now := c.current.Load()
			if mutual {
				return now.mutual[protocols[len(protocols)-1]], nil
			}
			return now.plain[protocols[len(protocols)-1]], nil
		},
	}
}
