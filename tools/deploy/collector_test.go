package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/redactionprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/tailsamplingprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

// providers read configurations as the released Collector does.
var providers = confmap.ResolverSettings{
	ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory(), envprovider.NewFactory()},
	DefaultScheme:     "env",
}

// factories are those components of the contributors' distribution that collector.yaml uses.
func factories() (otelcol.Factories, error) {
	f := otelcol.Factories{Telemetry: otelconftelemetry.NewFactory()}
	var err error
	if f.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory()); err != nil {
		return f, err
	}
	if f.Processors, err = otelcol.MakeFactoryMap[processor.Factory](
		memorylimiterprocessor.NewFactory(), redactionprocessor.NewFactory(), tailsamplingprocessor.NewFactory(),
	); err != nil {
		return f, err
	}
	if f.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](otlpexporter.NewFactory()); err != nil {
		return f, err
	}
	f.Extensions, err = otelcol.MakeFactoryMap[extension.Factory](filestorage.NewFactory(), healthcheckextension.NewFactory())
	return f, err
}

// runCollector is the Collector's program, with its command line.
func runCollector() {
	command := otelcol.NewCommand(otelcol.CollectorSettings{
		Factories:              factories,
		BuildInfo:              component.BuildInfo{Command: "collector", Version: "test"},
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: providers},
	})
	if err := command.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// collectorArgs are the compose file's, with the configuration where it lies here.
func collectorArgs(t *testing.T) []string {
	t.Helper()
	args := []string{os.Args[0]}
	for _, arg := range load(t, "collector/docker-compose.yaml").Services["collector"].Command {
		config, err := filepath.Abs(filepath.Join(root, "collector", "collector.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, strings.ReplaceAll(arg, "/etc/otelcol/collector.yaml", config))
	}
	return args
}

// pipeline is the services and their backends with a Collector between.
type pipeline struct {
	collector    *program
	collectorEnv []string
	health       string
	otlpHTTP     string // of the Collector
	articles     string
	suggestions  *program
	service      *program // articles

	all, sampled backend
}

// backend is a throughline server that may run or not.
type backend struct {
	otlp, ui string // addresses
	program  *program
}

func (b *backend) start(t *testing.T) {
	t.Helper()
	b.program = launch(t, t.TempDir(), nil, throughline, "serve", "--data=:memory:", "--listen="+b.ui, "--otlp-grpc="+b.otlp, "--otlp-http=", "--jaeger-grpc=")
	b.program.awaitOK(t, "http://"+b.ui+"/readyz")
}

const articleID = "00000000000000000000000000000a01"

func startPipeline(t *testing.T) *pipeline {
	t.Helper()
	p := &pipeline{
		all: backend{otlp: freeAddress(t), ui: freeAddress(t)}, sampled: backend{otlp: freeAddress(t), ui: freeAddress(t)},
		health: freeAddress(t), otlpHTTP: freeAddress(t),
	}
	otlp := freeAddress(t)
	p.collectorEnv = []string{
		asCollector + "=1", "COLLECTOR_DATA=" + filepath.Join(t.TempDir(), "queue"), "COLLECTOR_DECISION_WAIT=6s",
		"COLLECTOR_HEALTH=" + p.health, "COLLECTOR_OTLP_GRPC=" + otlp, "COLLECTOR_OTLP_HTTP=" + p.otlpHTTP,
		"COLLECTOR_ALL=" + p.all.otlp, "COLLECTOR_SAMPLED=" + p.sampled.otlp,
	}
	p.startCollector(t)

	// The services, as compose starts them, send to the Collector.
	// At their stop they have the time to try again what a Collector that died did not take.
	common := []string{"TRACING_BACKEND_URL=" + otlp, "OTEL_BSP_SCHEDULE_DELAY=50", "SHUTDOWN_TIMEOUT=40s"}
	env, suggestionsAt := settings(t, "suggestions", fmt.Sprintf(`{%q: [%q]}`, articleID, articleID))
	dir, err := filepath.Abs(filepath.Join(root, "apps", "suggestions"))
	if err != nil {
		t.Fatal(err)
	}
	p.suggestions = launch(t, dir, append(env, common...), python, "app.py")
	env, articlesAt := settings(t, "articles", fmt.Sprintf(`[{"id": %q, "author": "A", "title": "T", "text": "x"}]`, articleID))
	p.service = launch(t, t.TempDir(), append(append(env, common...), "SUGGESTIONS_SERVICE_HOST=http://"+suggestionsAt), articles)
	p.suggestions.awaitOK(t, "http://"+suggestionsAt+"/readyz")
	p.service.awaitOK(t, "http://"+articlesAt+"/readyz")
	p.articles = "http://" + articlesAt + "/articles/v1/" + articleID + "?with_suggested=1"
	return p
}

func (p *pipeline) startCollector(t *testing.T) {
	t.Helper()
	p.collector = launch(t, t.TempDir(), p.collectorEnv, collectorArgs(t)...)
	p.collector.awaitOK(t, "http://"+p.health+"/")
}

// traceID is the i-th trace's, spread over the randomness that samplers decide by.
func traceID(i int) string {
	return fmt.Sprintf("4bf92f3577b34da6%016x", uint64(i+1)*0x9e3779b97f4a7c15)
}

// request asks articles as the caller of a trace would.
func (p *pipeline) request(t *testing.T, id string) {
	t.Helper()
	status, body, err := get(p.articles, "traceparent", "00-"+id+"-00f067aa0ba902b7-01")
	if err != nil || status != http.StatusOK {
		t.Fatalf("articles: %d %v %s", status, err, body)
	}
}

// span is what the tests look at.
type span struct {
	SpanID, ParentSpanID, Name, TraceState, service string
	Attributes                                      []keyValue
}

type keyValue struct {
	Key   string
	Value struct{ StringValue string }
}

// trace returns the spans that the backend has of a trace.
func (b *backend) trace(t *testing.T, id string) []span {
	t.Helper()
	status, body, err := get("http://" + b.ui + "/api/native/v1/traces/" + id)
	if err != nil {
		t.Fatal(err)
	}
	if status == http.StatusNotFound {
		return nil
	}
	var got struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []keyValue }
			ScopeSpans []struct{ Spans []span }
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var spans []span
	for _, rs := range got.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				for _, kv := range rs.Resource.Attributes {
					if kv.Key == "service.name" {
						s.service = kv.Value.StringValue
					}
				}
				spans = append(spans, s)
			}
		}
	}
	return spans
}

// whole says what is missing of a trace of both services whose caller is 00f067aa0ba902b7, "" when nothing is.
func whole(spans []span) string {
	ids, services := map[string]bool{"00f067aa0ba902b7": true}, map[string]bool{}
	for _, s := range spans {
		ids[s.SpanID], services[s.service] = true, true
	}
	for _, s := range spans {
		if !ids[s.ParentSpanID] {
			return fmt.Sprintf("the parent of %s is not there", s.Name)
		}
	}
	if len(spans) != spansPerTrace || !services["articles-service"] || !services["suggestions-service"] {
		return fmt.Sprintf("%d spans of %v", len(spans), services)
	}
	return ""
}

// spansPerTrace are those of one article with its suggestions: 4 of articles' layers, its request and its call, and 2 of
// suggestions.
const spansPerTrace = 8

// A Collector with the shipped configuration passes everything to one backend, and errors, slow traces and a tenth of
// the rest to the other; what it passes has no secrets, and says how many traces it stands for.
func TestCollectorFansOutAndSamples(t *testing.T) {
	p := startPipeline(t)
	p.all.start(t)
	p.sampled.start(t)

	const traces = 60
	for i := range traces {
		p.request(t, traceID(i))
	}
	slow, secret := strings.Repeat("5", 32), strings.Repeat("6", 32)
	now := time.Now().UnixNano()
	for id, body := range map[string]string{
		slow:   fmt.Sprintf(`"name":"slow","startTimeUnixNano":"%d","endTimeUnixNano":"%d"`, now-600e6, now),
		secret: fmt.Sprintf(`"name":"secret","startTimeUnixNano":"%d","endTimeUnixNano":"%d","status":{"code":2},"attributes":[{"key":"api_key","value":{"stringValue":"hunter2"}},{"key":"note","value":{"stringValue":"paid by 4111111111111111"}},{"key":"http.route","value":{"stringValue":"/pay"}}]`, now-1e6, now),
	} {
		resp, err := client.Post("http://"+p.otlpHTTP+"/v1/traces", "application/json", bytes.NewReader([]byte(
			`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"other"}}]},"scopeSpans":[{"spans":[{"traceId":"`+id+`","spanId":"00f067aa0ba902b8","kind":1,`+body+`}]}]}]}`)))
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v, %+v", err, resp)
		}
		resp.Body.Close()
	}
	// Calls to a service that is gone are errors.
	p.suggestions.stop(syscall.SIGTERM)
	failed := []string{strings.Repeat("7", 32), strings.Repeat("8", 32), strings.Repeat("9", 32)}
	for _, id := range failed {
		p.request(t, id)
	}

	for i := range traces {
		eventually(t, time.Minute, func() string {
			if missing := whole(p.all.trace(t, traceID(i))); missing != "" {
				return fmt.Sprintf("trace %d: %s", i, missing)
			}
			return ""
		})
	}
	for _, id := range append(failed, slow, secret) {
		eventually(t, time.Minute, func() string {
			spans := p.sampled.trace(t, id)
			if len(spans) == 0 {
				return "trace " + id + " is not in the sample"
			}
			for _, s := range spans {
				// One of one.
				if !strings.Contains(s.TraceState, "ot=th:0") {
					return fmt.Sprintf("trace %s has the tracestate %q", id, s.TraceState)
				}
			}
			return ""
		})
		if len(p.all.trace(t, id)) == 0 {
			t.Errorf("trace %s is not with everything", id)
		}
	}
	// The decisions on the traces before those just seen are made.
	kept := 0
	for i := range traces {
		spans := p.sampled.trace(t, traceID(i))
		if len(spans) == 0 {
			continue
		}
		kept++
		eventually(t, time.Minute, func() string {
			spans = p.sampled.trace(t, traceID(i))
			if missing := whole(spans); missing != "" {
				return fmt.Sprintf("sampled trace %d: %s", i, missing)
			}
			return ""
		})
		for _, s := range spans {
			if !strings.Contains(s.TraceState, "ot=th:e6") {
				t.Errorf("sampled trace %d stands for ten and says %q", i, s.TraceState)
			}
		}
	}
	// 6 of 60 are expected, and the ids are the same in each run.
	if kept < 1 || kept > 15 {
		t.Errorf("%d of %d traces without fault are in the sample", kept, traces)
	}
	for _, b := range []*backend{&p.all, &p.sampled} {
		got := map[string]string{}
		for _, s := range b.trace(t, secret) {
			for _, kv := range s.Attributes {
				got[kv.Key] = kv.Value.StringValue
			}
		}
		if got["api_key"] != "****" || got["note"] != "paid by ****" || got["http.route"] != "/pay" {
			t.Errorf("the secret span's attributes: %v", got)
		}
	}
}

// A Collector that is killed while its backend is away loses nothing that it had accepted.
func TestCollectorDiesAndLosesNothing(t *testing.T) {
	p := startPipeline(t)
	const traces = 20
	for i := range traces {
		p.request(t, traceID(i))
		if i == traces/2 {
			// In the middle of it: what the services send meanwhile they try again.
			p.collector.stop(syscall.SIGKILL)
			p.startCollector(t)
		}
	}
	// A service that stops has delivered what it had.
	p.service.stop(syscall.SIGTERM)
	p.suggestions.stop(syscall.SIGTERM)
	p.collector.stop(syscall.SIGKILL)

	p.all.start(t)
	p.startCollector(t)
	for i := range traces {
		eventually(t, time.Minute, func() string {
			if missing := whole(p.all.trace(t, traceID(i))); missing != "" {
				return fmt.Sprintf("trace %d: %s", i, missing)
			}
			return ""
		})
	}
}

// The Collector refuses what is wrong, so that its acceptance of ours says something.
func TestCollectorRefusesAnUnknownField(t *testing.T) {
	file := filepath.Join(t.TempDir(), "collector.yaml")
	bad := strings.Replace(read(t, "collector", "collector.yaml"), "decision_wait:", "decision_weight:", 1)
	if err := os.WriteFile(file, []byte(bad), 0o644); err != nil {
		t.Fatal(err)
	}
	p := launch(t, t.TempDir(), []string{asCollector + "=1"}, os.Args[0], "validate", "--config="+file)
	<-p.exited
	if p.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(p.out.String(), "decision_weight") {
		t.Errorf("status %d: %s", p.cmd.ProcessState.ExitCode(), p.out)
	}
	good := launch(t, t.TempDir(), []string{asCollector + "=1"}, append([]string{os.Args[0], "validate"}, collectorArgs(t)[1:]...)...)
	<-good.exited
	if good.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("our own: %s", good.out)
	}
}
