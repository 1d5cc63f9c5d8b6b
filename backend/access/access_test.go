package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/access"
)

const token, other = "a-token-of-some-length", "another-token-of-length"

func logger(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what follows from a file that is read again.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func TestToken(t *testing.T) {
	tokens, err := access.NewTokens(token)
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]bool{
		"Bearer " + token: true, "bearer " + token: true, "Bearer  " + token + " ": true,
		"": false, "Bearer": false, "Bearer ": false, token: false, "Basic " + token: false,
		"Bearer " + token + "x": false, "Bearer " + token[1:]: false, "Bearer " + strings.ToUpper(token): false,
	} {
		if got := tokens.AllowHeader(header); got != want {
			t.Errorf("%q: %t", header, got)
		}
	}
	var none *access.Tokens
	if !none.AllowHeader("") || !none.AllowSession("", time.Now()) {
		t.Error("no tokens ask for none")
	}
	for _, bad := range []string{"", "short", "with a space in the middle", "with\x00a zero byte inside"} {
		if _, err := access.NewTokens(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestSession(t *testing.T) {
	tokens, err := access.NewTokens(token)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_790_000_000, 0)
	session, ok := tokens.Session(token, now.Add(time.Hour))
	if !ok || strings.Contains(session, token) || !tokens.AllowSession(session, now) {
		t.Fatalf("%q, %t", session, ok)
	}
	if tokens.AllowSession(session, now.Add(time.Hour)) {
		t.Error("an expired session is taken")
	}
	until, signature, _ := strings.Cut(session, ".")
	for _, bad := range []string{"", ".", until, until + ".", "9" + session, signature, session + "0", "x." + signature, token} {
		if tokens.AllowSession(bad, now) {
			t.Errorf("session %q is taken", bad)
		}
	}
	if _, ok := tokens.Session(other, now.Add(time.Hour)); ok {
		t.Error("a session for a token that is none")
	}
	renewed, err := access.NewTokens(other)
	if err != nil {
		t.Fatal(err)
	}
	if renewed.AllowSession(session, now) {
		t.Error("a session outlives its token")
	}
}

func TestTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if _, err := access.ReadTokens(file, logger(t)); err == nil {
		t.Error("a file that is not there is taken")
	}
	write(t, file, "# none yet\n\n")
	if _, err := access.ReadTokens(file, logger(t)); err == nil || !strings.Contains(err.Error(), "no token in it") {
		t.Error(err)
	}
	write(t, file, token+"\n")
	tokens, err := access.ReadTokens(file, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	if !tokens.Allow(token) || tokens.Allow(other) {
		t.Error("not the file's token")
	}
	write(t, file, "# the new one\n"+other+"\n"+token+"\n")
	eventually(t, "the new token is not read", func() bool { return tokens.Allow(other) })
	if !tokens.Allow(token) {
		t.Error("the old token is still in the file")
	}
	write(t, file, other)
	eventually(t, "the old token is still taken", func() bool { return !tokens.Allow(token) })
	write(t, file, "short\n") // wrong: what was there stays
	time.Sleep(1200 * time.Millisecond)
	if !tokens.Allow(other) || tokens.Allow("short") {
		t.Error("a wrong file is taken")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1200 * time.Millisecond)
	if !tokens.Allow(other) {
		t.Error("without its file, the token is gone")
	}
}

// certificate writes a certificate of its own authority.
func certificate(t *testing.T, cert, key, name string) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	pool := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return pool
}

// A certificate that is renewed is served to the next connection, and one that is
// half renewed or broken is not.
func TestCertificatesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := access.ReadCertificates(cert, key, "", logger(t)); err == nil {
		t.Error("files that are not there are taken")
	}
	old := certificate(t, cert, key, "old")
	certificates, err := access.ReadCertificates(cert, key, "", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", certificates.Config(access.HTTP, false))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	connects := func(roots *x509.CertPool) bool {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots})
		if err != nil {
			return false
		}
		c.Close()
		return true
	}
	if !connects(old) {
		t.Fatal("the first certificate is not served")
	}
	renewed := certificate(t, cert, key, "renewed")
	eventually(t, "the renewed certificate is not served", func() bool { return connects(renewed) })
	write(t, key, "broken")
	time.Sleep(1200 * time.Millisecond)
	if !connects(renewed) {
		t.Error("a broken key ends the service")
	}
}
