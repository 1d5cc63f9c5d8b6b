//go:build e2e

package e2e

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// startBackends starts n backends without services.
func startBackends(t *testing.T, n int) []*world {
	t.Helper()
	list := make([]*world, n)
	for i := range list {
		list[i] = &world{otlpGRPC: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
		list[i].startBackend(t, t.TempDir())
	}
	return list
}

// assertWhole fails unless the trace has spans of both services and every parent but the caller's.
func (w *world) assertWhole(t *testing.T, id string, n int) []*span {
	t.Helper()
	spans := w.wholeTrace(t, id, n)
	ids, services := map[string]bool{"": true, callerSpan: true}, map[string]bool{}
	for _, s := range spans {
		ids[s.SpanID], services[s.service] = true, true
	}
	for _, s := range spans {
		if !ids[s.ParentSpanID] {
			t.Errorf("the parent of %s %s is not there:\n%s", s.service, s.Name, dump(spans, nil))
		}
	}
	if len(spans) != n || !services["articles-service"] || !services["suggestions-service"] {
		t.Errorf("want %d spans of both services:\n%s", n, dump(spans, nil))
	}
	return spans
}

const (
	oneWithSuggested = "/articles/v1/" + firstArticle + "?with_suggested=1"
	spansOfOne       = 8
)

func TestUpWithABackendElsewhere(t *testing.T) {
	there := startBackends(t, 1)[0]
	// The ports that an own backend would take are taken by others.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	u := up(t, "--backend", there.otlpGRPC, "--ui-port", strconv.Itoa(taken.Addr().(*net.TCPAddr).Port))
	if out := u.out.String(); !strings.Contains(out, "Spans go to   "+there.otlpGRPC+" (--backend)") || strings.Contains(out, "  OTLP  ") {
		t.Errorf("the table:\n%s", out)
	}
	mustGet(t, http.StatusOK, u.articlesURL+"/articles/v1/?with_suggested=1", "traceparent", "00-"+callerTrace+"-"+callerSpan+"-01")
	there.assertWhole(t, callerTrace, len(there.wholeTrace(t, callerTrace, 35)))
	u.signal(t, os.Interrupt)
	if code := u.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d after Ctrl-C", code)
	}
	u.assertNothingLeft(t)
}

func TestUpSaysWhichBackendIsWrong(t *testing.T) {
	out := upFails(t, checkout, nil, "--port-offset", strconv.Itoa(freeOffset(t)), "--backend", "ftp://user:hunter2@jaeger")
	if !strings.Contains(out, "suggestions") || !strings.Contains(out, "scheme 'ftp'") || strings.Contains(out, "hunter2") {
		t.Errorf("%s", out)
	}
}

// Two backends at once get the same; one that dies costs the other nothing.
func TestTwoBackendsAtOnce(t *testing.T) {
	both := startBackends(t, 2)
	list := "TRACING_BACKEND_URL=" + both[0].otlpGRPC + "," + both[1].otlpHTTP + "/v1/traces"
	w := startWorld(t, withoutBackend(), articlesEnv(list), suggestionsEnv(list))
	mustGet(t, http.StatusOK, w.articlesURL+oneWithSuggested, "traceparent", "00-"+callerTrace+"-"+callerSpan+"-01")
	one, two := dump(both[0].assertWhole(t, callerTrace, spansOfOne), nil), dump(both[1].assertWhole(t, callerTrace, spansOfOne), nil)
	if one != two {
		t.Errorf("the backends differ:\n%s\n%s", one, two)
	}
	both[1].backend.signal(t, syscall.SIGKILL)
	after := strings.Repeat("5", 32)
	mustGet(t, http.StatusOK, w.articlesURL+oneWithSuggested, "traceparent", "00-"+after+"-"+callerSpan+"-01")
	both[0].assertWhole(t, after, spansOfOne)
}

// The swap: services that are started anew with another address send there, and nothing else changes.
func TestBackendIsSwapped(t *testing.T) {
	both := startBackends(t, 2)
	for i, b := range both {
		address := "TRACING_BACKEND_URL=" + b.otlpGRPC
		w := startWorld(t, withoutBackend(), articlesEnv(address), suggestionsEnv(address))
		id := strings.Repeat(strconv.Itoa(i+1), 32)
		mustGet(t, http.StatusOK, w.articlesURL+oneWithSuggested, "traceparent", "00-"+id+"-"+callerSpan+"-01")
		b.assertWhole(t, id, spansOfOne)
		if spans := both[1-i].trace(t, id); len(spans) > 0 {
			t.Errorf("the other backend has it too:\n%s", dump(spans, nil))
		}
		w.articles.signal(t, syscall.SIGTERM)
		w.suggestions.signal(t, syscall.SIGTERM)
	}
}

// A backend behind TLS that wants a token: the standard variables are all it takes, over gRPC as over HTTP.
func TestBackendWithTLSAndAToken(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			b := startBackends(t, 1)[0]
			inner := "http://" + b.otlpGRPC
			if protocol != "grpc" {
				inner = b.otlpHTTP
			}
			target, err := url.Parse(inner)
			if err != nil {
				t.Fatal(err)
			}
			proxy := httputil.NewSingleHostReverseProxy(target)
			proxy.FlushInterval = -1
			if protocol == "grpc" {
				var plain http.Protocols
				plain.SetUnencryptedHTTP2(true)
				proxy.Transport = &http.Transport{Protocols: &plain}
			}
			var refused atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer s3cret token" {
					refused.Add(1)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				proxy.ServeHTTP(w, r)
			}))
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			certificate := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644); err != nil {
				t.Fatal(err)
			}
			env := []string{
				"TRACING_BACKEND_URL=" + server.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol,
				"OTEL_EXPORTER_OTLP_CERTIFICATE=" + certificate, "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20s3cret%20token",
			}
			w := startWorld(t, withoutBackend(), articlesEnv(env...), suggestionsEnv(env...))
			mustGet(t, http.StatusOK, w.articlesURL+oneWithSuggested, "traceparent", "00-"+callerTrace+"-"+callerSpan+"-01")
			b.assertWhole(t, callerTrace, spansOfOne)
			if n := refused.Load(); n != 0 {
				t.Errorf("%d exports came without the token", n)
			}
			// And without the token nothing arrives.
			env[3] = "OTEL_EXPORTER_OTLP_HEADERS="
			w = startWorld(t, withoutBackend(), articlesEnv(env...), suggestionsEnv(env...))
			other := strings.Repeat("5", 32)
			mustGet(t, http.StatusOK, w.articlesURL+oneWithSuggested, "traceparent", "00-"+other+"-"+callerSpan+"-01")
			eventually(t, 20*time.Second, func() string {
				if refused.Load() >= 2 {
					return ""
				}
				return "not refused yet"
			})
			if spans := b.trace(t, other); len(spans) != 0 {
				t.Errorf("it has them:\n%s", dump(spans, nil))
			}
		})
	}
}
