package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/throughline/throughline/backend/server"
)

const otlpToken, apiToken = "token-of-the-senders", "token-of-the-readers"

// authority signs certificates for 127.0.0.1 in a directory of the test.
type authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir(), pool: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate = a.sign(t, "ca", template, template, a.key, a.key)
	a.pool.AddCert(a.certificate)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }

func (a *authority) sign(t *testing.T, name string, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		a.file(name): {Type: "CERTIFICATE", Bytes: der}, a.file(name + "-key"): {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// issue writes NAME.pem and NAME-key.pem, of a server or of a client.
func (a *authority) issue(t *testing.T, name string, usage x509.ExtKeyUsage) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.sign(t, name, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, a.certificate, key, a.key)
}

func (a *authority) client(t *testing.T) tls.Certificate {
	t.Helper()
	a.issue(t, "client", x509.ExtKeyUsageClientAuth)
	c, err := tls.LoadX509KeyPair(a.file("client"), a.file("client-key"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// exporters are the OpenTelemetry SDK's, for both protocols, without retries.
func exporters(t *testing.T, a server.Addresses, config *tls.Config, headers map[string]string) map[string]sdktrace.SpanExporter {
	t.Helper()
	g := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(a.OTLPGRPC), otlptracegrpc.WithHeaders(headers),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}), otlptracegrpc.WithTimeout(5 * time.Second),
	}
	h := []otlptracehttp.Option{
		otlptracehttp.WithEndpoint(a.OTLPHTTP), otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}), otlptracehttp.WithTimeout(5 * time.Second),
	}
	if config == nil {
		g, h = append(g, otlptracegrpc.WithInsecure()), append(h, otlptracehttp.WithInsecure())
	} else {
		g = append(g, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(config)))
		h = append(h, otlptracehttp.WithTLSClientConfig(config))
	}
	ge, err := otlptracegrpc.New(t.Context(), g...)
	if err != nil {
		t.Fatal(err)
	}
	he, err := otlptracehttp.New(t.Context(), h...)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]sdktrace.SpanExporter{"grpc": ge, "http": he}
	t.Cleanup(func() {
		for _, e := range all {
			e.Shutdown(context.Background())
		}
	})
	return all
}

// export sends one span and returns what the exporter says.
func export(t *testing.T, e sdktrace.SpanExporter) error {
	t.Helper()
	failed := make(chan error, 1)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(sdktrace.NewSimpleSpanProcessor(told{e, failed})))
	_, span := provider.Tracer("test").Start(t.Context(), "sent securely")
	span.End()
	return <-failed
}

type told struct {
	sdktrace.SpanExporter
	failed chan error
}

func (t told) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := t.SpanExporter.ExportSpans(ctx, spans)
	t.failed <- err
	return nil
}

func TestTokensAndTLS(t *testing.T) {
	ca := newAuthority(t)
	ca.issue(t, "server", x509.ExtKeyUsageServerAuth)
	files := server.TLS{Cert: ca.file("server"), Key: ca.file("server-key")}
	mutual := files
	mutual.ClientCA = ca.file("ca")
	trusting := &tls.Config{RootCAs: ca.pool}
	known := &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{ca.client(t)}}
	bearer := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }

	for _, c := range []struct {
		name    string
		config  server.Config
		tls     *tls.Config
		headers map[string]string
		want    string // part of what the exporters say, empty when they succeed
	}{
		{"open", server.Config{}, nil, nil, ""},
		{"TLS", server.Config{TLS: files}, trusting, nil, ""},
		{"TLS, an unknown authority", server.Config{TLS: files}, &tls.Config{RootCAs: x509.NewCertPool()}, nil, "unknown authority"},
		{"plaintext to TLS", server.Config{TLS: files}, nil, nil, "rpc error|bad request|plaintext|400"},
		{"TLS to plaintext", server.Config{}, trusting, nil, "tls|EOF|reset"},
		{"a token", server.Config{OTLPToken: server.Token{Value: otlpToken}}, nil, bearer(otlpToken), ""},
		{"no token", server.Config{OTLPToken: server.Token{Value: otlpToken}}, nil, nil, "a token is needed to send spans here"},
		{"the readers' token", server.Config{OTLPToken: server.Token{Value: otlpToken}, APIToken: server.Token{Value: apiToken}}, nil, bearer(apiToken), "a token is needed"},
		{"TLS and a token", server.Config{TLS: files, OTLPToken: server.Token{Value: otlpToken}}, trusting, bearer(otlpToken), ""},
		{"TLS and a wrong token", server.Config{TLS: files, OTLPToken: server.Token{Value: otlpToken}}, trusting, bearer(otlpToken + "."), "a token is needed"},
		{"a client's certificate", server.Config{TLS: mutual}, known, nil, ""},
		{"no client's certificate", server.Config{TLS: mutual}, trusting, nil, "certificate required|broken pipe|reset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := start(t, c.config)
			for protocol, e := range exporters(t, a, c.tls, c.headers) {
				err := export(t, e)
				if c.want == "" {
					if err != nil {
						t.Errorf("%s: %v", protocol, err)
					}
					continue
				}
				fits := false
				for part := range strings.SplitSeq(c.want, "|") {
					fits = fits || err != nil && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(part))
				}
				if !fits {
					t.Errorf("%s: %v, want %s", protocol, err, c.want)
				}
			}
		})
	}
}

// Health needs no token, nor does it tell anything.
func TestHealthIsOpen(t *testing.T) {
	a := start(t, server.Config{OTLPToken: server.Token{Value: otlpToken}, APIToken: server.Token{Value: apiToken}})
	for _, u := range []string{a.URL() + "/healthz", a.URL() + "/readyz", "http://" + a.OTLPHTTP + "/healthz", "http://" + a.OTLPHTTP + "/readyz"} {
		resp, err := http.Get(u)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || string(body) != "ok\n" {
			t.Errorf("%s: %s %q", u, resp.Status, body)
		}
	}
	conn, err := grpc.NewClient(a.OTLPGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if h, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil || h.Status != healthpb.HealthCheckResponse_SERVING {
		t.Error(h, err)
	}
}

// A browser is led to the login, gets a cookie for the token, and reads with it,
// the stream too; a program sends the token.
func TestReadingWithToken(t *testing.T) {
	ca := newAuthority(t)
	ca.issue(t, "server", x509.ExtKeyUsageServerAuth)
	a := start(t, server.Config{
		TLS: server.TLS{Cert: ca.file("server"), Key: ca.file("server-key")}, APIToken: server.Token{Value: apiToken},
		UI: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the UI") }),
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	browser := &http.Client{Transport: transport, Jar: jar}
	program := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(client *http.Client, method, path string, header ...string) (*http.Response, string) {
		t.Helper()
		var body io.Reader
		if method == http.MethodPost {
			body = strings.NewReader(header[len(header)-1])
			header = append(header[:len(header)-1], "Content-Type", "application/x-www-form-urlencoded")
		}
		req, err := http.NewRequestWithContext(t.Context(), method, a.URL()+path, body)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text := make([]byte, 1<<16)
		n, err := io.ReadAtLeast(resp.Body, text, 14)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
		return resp, string(text[:n])
	}

	for _, path := range []string{"/api/native/v1/status", "/api/native/v1/export", "/api/native/v1/stream", "/api/services", "/metrics", "/", "/assets/app.js", "/api/nothing"} {
		if resp, body := ask(program, "GET", path); resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") == "" || !strings.Contains(body, "unauthenticated") {
			t.Errorf("%s without a token: %s %s", path, resp.Status, body)
		}
		if resp, body := ask(program, "GET", path, "Authorization", "Bearer wrong-token-of-length"); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s with a wrong token: %s %s", path, resp.Status, body)
		}
		want := http.StatusOK
		if path == "/api/nothing" {
			want = http.StatusNotFound
		}
		if resp, body := ask(program, "GET", path, "Authorization", "Bearer "+apiToken); resp.StatusCode != want {
			t.Errorf("%s with the token: %s %s", path, resp.Status, body)
		}
	}

	if resp, _ := ask(program, "GET", "/trace/abc?x=1", "Accept", "text/html"); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/login?next=%2Ftrace%2Fabc%3Fx%3D1" {
		t.Errorf("a page: %s to %q", resp.Status, resp.Header.Get("Location"))
	}
	resp, body := ask(browser, "GET", "/trace/abc?x=1", "Accept", "text/html")
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/login" || !strings.Contains(body, `value="/trace/abc?x=1"`) ||
		!strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("login page: %s %s %s", resp.Status, resp.Request.URL, body)
	}
	if resp, body := ask(browser, "POST", "/login", url.Values{"token": {"wrong-token-of-length"}, "next": {"/"}}.Encode()); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "not the token") {
		t.Errorf("a wrong token: %s", resp.Status)
	}
	if resp, body := ask(browser, "POST", "/login", url.Values{"token": {apiToken}, "next": {"/trace/abc?x=1"}}.Encode()); resp.StatusCode != http.StatusOK || resp.Request.URL.RequestURI() != "/trace/abc?x=1" || body != "the UI" {
		t.Errorf("logging in: %s %s %q", resp.Status, resp.Request.URL, body)
	}
	cookies := jar.Cookies(&url.URL{Scheme: "https", Host: a.Listen, Path: "/"})
	if len(cookies) != 1 || strings.Contains(cookies[0].Value, apiToken) {
		t.Errorf("cookies %v", cookies)
	}
	if resp, body := ask(browser, "GET", "/api/native/v1/status"); resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Errorf("reading with the cookie: %s %s %s", resp.Status, resp.Proto, body)
	}
	if resp, body := ask(browser, "GET", "/api/native/v1/stream"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(body, "event: status") {
		t.Errorf("the stream with the cookie: %s %s", resp.Status, body)
	}
	// No redirect leads away.
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/\t/evil.example", "javascript:alert(1)"} {
		resp, _ := ask(program, "POST", "/login", url.Values{"token": {apiToken}, "next": {next}}.Encode())
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || got != "/" {
			t.Errorf("next %q leads to %q", next, got)
		}
		c := resp.Header.Get("Set-Cookie")
		for _, part := range []string{"HttpOnly", "Secure", "SameSite=Lax"} {
			if !strings.Contains(c, part) {
				t.Errorf("cookie %q is not %s", c, part)
			}
		}
	}
	ask(browser, "POST", "/logout", "")
	if resp, _ := ask(browser, "GET", "/api/native/v1/status"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("after logging out: %s", resp.Status)
	}
}

func TestGuardIsRefused(t *testing.T) {
	ca := newAuthority(t)
	ca.issue(t, "server", x509.ExtKeyUsageServerAuth)
	for want, config := range map[string]server.Config{
		"--tls-cert and --tls-key are given together":  {TLS: server.TLS{Cert: ca.file("server")}},
		"and --tls-client-ca with them":                {TLS: server.TLS{ClientCA: ca.file("ca")}},
		"reading certificates":                         {TLS: server.TLS{Cert: ca.file("server"), Key: ca.file("ca-key")}},
		"no certificate of an authority":               {TLS: server.TLS{Cert: ca.file("server"), Key: ca.file("server-key"), ClientCA: ca.file("server-key")}},
		"--otlp-token: token of 5 characters: want 16": {OTLPToken: server.Token{Value: "short"}},
		"--api-token-file: reading tokens":             {APIToken: server.Token{File: filepath.Join(ca.dir, "nothing")}},
		"--api-token and --api-token-file: give one":   {APIToken: server.Token{Value: apiToken, File: ca.file("ca")}},
	} {
		config.Listen, config.Log = "127.0.0.1:0", slog.New(slog.DiscardHandler)
		if err := server.Run(t.Context(), config, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Who binds a port for other machines is told what stands open.
func TestOpenPortsAreWarnedOf(t *testing.T) {
	for _, c := range []struct {
		config server.Config
		want   []string
	}{
		{server.Config{Listen: "127.0.0.1:0", OTLPGRPC: "localhost:0"}, nil},
		{server.Config{Listen: "0.0.0.0:0"}, []string{"without a token"}},
		{server.Config{Listen: "127.0.0.1:0", OTLPHTTP: ":0", OTLPGRPC: "127.0.0.1:0"}, []string{"without a token"}},
		{server.Config{Listen: "0.0.0.0:0", APIToken: server.Token{Value: apiToken}}, []string{"in plaintext"}},
		{server.Config{Listen: "0.0.0.0:0", OTLPHTTP: "0.0.0.0:0", APIToken: server.Token{Value: apiToken}}, []string{"in plaintext", "without a token"}},
	} {
		var log strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		c.config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		if err := server.Run(ctx, c.config, func(server.Addresses) { cancel() }); err != nil {
			t.Fatal(err)
		}
		got := log.String()
		if strings.Count(got, "\n") != len(c.want) {
			t.Errorf("%+v: %s", c.config, got)
		}
		for _, part := range c.want {
			if !strings.Contains(got, part) {
				t.Errorf("%q is not in %s", part, got)
			}
		}
	}
}
