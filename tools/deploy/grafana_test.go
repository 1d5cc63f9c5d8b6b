package deploy

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/config"
	promql "github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// tempoFields are the parts of Tempo's configuration that are used. Tempo is no module to import here; the file was read
// by the program itself, as README says.
type tempoFields struct {
	Server      map[string]any
	Distributor struct {
		Receivers struct {
			OTLP struct {
				Protocols map[string]struct{ Endpoint string }
			} `yaml:"otlp"`
		}
	}
	LiveStore        map[string]any `yaml:"live_store"`
	QueryFrontend    map[string]any `yaml:"query_frontend"`
	MetricsGenerator struct {
		Processor map[string]map[string]any
		Storage   struct {
			Path        string
			RemoteWrite []struct {
				URL           string `yaml:"url"`
				SendExemplars bool   `yaml:"send_exemplars"`
			} `yaml:"remote_write"`
		}
	} `yaml:"metrics_generator"`
	Overrides struct {
		Defaults struct {
			MetricsGenerator struct{ Processors []string } `yaml:"metrics_generator"`
		}
	}
	BackendScheduler map[string]any `yaml:"backend_scheduler"`
	Storage          struct {
		Trace struct {
			Backend    string
			WAL, Local struct{ Path string }
		}
	}
	UsageReport map[string]bool `yaml:"usage_report"`
}

func readTempo(t *testing.T) tempoFields {
	t.Helper()
	var c tempoFields
	d := yaml.NewDecoder(strings.NewReader(read(t, "grafana", "tempo.yaml")))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// in is a value's default: what it is in a container.
func in(value string) string {
	return regexp.MustCompile(`\$\{(?:env:)?[A-Z_]+:-([^}]*)\}`).ReplaceAllString(value, "$1")
}

func TestTempoConfiguration(t *testing.T) {
	c := readTempo(t)
	for protocol, port := range map[string]string{"grpc": "4317", "http": "4318"} {
		if got := in(c.Distributor.Receivers.OTLP.Protocols[protocol].Endpoint); got != "0.0.0.0:"+port {
			t.Errorf("OTLP over %s listens on %q: other containers do not reach it", protocol, got)
		}
	}
	if c.QueryFrontend["query_end_cutoff"] != "0s" || c.LiveStore["fail_on_high_lag"] != false {
		t.Errorf("fresh traces do not show: %v, %v", c.QueryFrontend, c.LiveStore)
	}
	if got := c.Overrides.Defaults.MetricsGenerator.Processors; !slices.Contains(got, "service-graphs") || !slices.Contains(got, "span-metrics") {
		t.Errorf("processors %v", got)
	}
	volume := ""
	for _, v := range load(t, "grafana/docker-compose.yaml").Services["tempo"].Volumes {
		if v.Type == "volume" {
			volume = v.Target
		}
	}
	for _, path := range []string{c.Storage.Trace.WAL.Path, c.Storage.Trace.Local.Path, c.MetricsGenerator.Storage.Path} {
		if !strings.HasPrefix(in(path), volume+"/") {
			t.Errorf("%s is not on the volume %s", in(path), volume)
		}
	}
}

func TestPrometheusConfiguration(t *testing.T) {
	project := load(t, "grafana/docker-compose.yaml")
	c, err := config.LoadFile(filepath.Join(root, "grafana", "prometheus.yaml"), false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.ScrapeConfigs) < 3 {
		t.Errorf("%d jobs", len(c.ScrapeConfigs))
	}
	// What Tempo writes, Prometheus takes.
	write := readTempo(t).MetricsGenerator.Storage.RemoteWrite
	if len(write) != 1 || in(write[0].URL) != "http://prometheus:9090/api/v1/write" || !write[0].SendExemplars {
		t.Errorf("remote write to %+v", write)
	}
	command := project.Services["prometheus"].Command
	if !slices.Contains(command, "--web.enable-remote-write-receiver") || !slices.Contains(command, "--enable-feature=exemplar-storage") {
		t.Errorf("prometheus does not take what Tempo writes: %q", command)
	}
}

type datasource struct {
	Name, UID, Type, URL, Access string
	IsDefault                    bool `yaml:"isDefault"`
	Editable                     bool
	JSONData                     map[string]any `yaml:"jsonData"`
}

func readDatasources(t *testing.T) map[string]datasource {
	t.Helper()
	var file struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []datasource
	}
	d := yaml.NewDecoder(strings.NewReader(read(t, "grafana", "grafana-datasources.yaml")))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if file.APIVersion != 1 {
		t.Errorf("apiVersion %d", file.APIVersion)
	}
	sources := map[string]datasource{}
	for _, s := range file.Datasources {
		sources[s.UID] = s
	}
	return sources
}

func TestGrafanaDatasources(t *testing.T) {
	sources := readDatasources(t)
	for uid, want := range map[string][2]string{
		"tempo": {"tempo", "http://tempo:3200"}, "prometheus": {"prometheus", "http://prometheus:9090"},
		"throughline-tempo": {"tempo", "http://throughline:16686/tempo"}, "throughline-jaeger": {"jaeger", "http://throughline:16686"},
	} {
		s := sources[uid]
		if s.Type != want[0] || s.URL != want[1] || s.Access != "proxy" {
			t.Errorf("%s: %+v", uid, s)
		}
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if !listens(t, u.Hostname(), u.Port()) {
			t.Errorf("%s: nothing on the network listens at %s", uid, u.Host)
		}
	}
	// Links between traces and metrics lead somewhere, and their queries are PromQL.
	for _, uid := range regexp.MustCompile(`datasourceUid: (\S+?)[},\n]`).FindAllStringSubmatch(read(t, "grafana", "grafana-datasources.yaml"), -1) {
		if _, ok := sources[uid[1]]; !ok {
			t.Errorf("a link to the data source %q, which is not there", uid[1])
		}
	}
	queries := regexp.MustCompile(`(?m)^\s+query: (.*)$`).FindAllStringSubmatch(read(t, "grafana", "grafana-datasources.yaml"), -1)
	for _, q := range queries {
		checkPromQL(t, strings.ReplaceAll(q[1], "$$__tags", `service="x"`))
	}
	if len(queries) != 3 {
		t.Errorf("%d queries of metrics at a span", len(queries))
	}
}

// listens says whether a service of the stacks listens on the port inside of the network.
func listens(t *testing.T, service, port string) bool {
	for _, project := range loadAll(t) {
		for _, p := range project.Services[service].Ports {
			if port == strconv.Itoa(int(p.Target)) {
				return true
			}
		}
	}
	return false
}

// metrics are those that Tempo's generator writes.
var metrics = regexp.MustCompile(`^traces_(spanmetrics_(calls_total|latency_bucket)|service_graph_request_(client|server)_seconds_bucket)$`)

func checkPromQL(t *testing.T, query string) {
	t.Helper()
	expr, err := promql.NewParser(promql.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return
	}
	promql.Inspect(expr, func(n promql.Node, _ []promql.Node) error {
		if v, ok := n.(*promql.VectorSelector); ok && !metrics.MatchString(v.Name) {
			t.Errorf("%s: nothing writes the metric %q", query, v.Name)
		}
		return nil
	})
}

func TestGrafanaDashboard(t *testing.T) {
	sources := readDatasources(t)
	var provider struct {
		Providers []struct{ Options struct{ Path string } }
	}
	if err := yaml.Unmarshal([]byte(read(t, "grafana", "grafana-dashboards.yaml")), &provider); err != nil {
		t.Fatal(err)
	}
	mounted := false
	for _, v := range load(t, "grafana/docker-compose.yaml").Services["grafana"].Volumes {
		mounted = mounted || len(provider.Providers) == 1 && v.Target == provider.Providers[0].Options.Path && strings.HasSuffix(v.Source, "grafana/dashboards")
	}
	if !mounted {
		t.Errorf("the dashboards are not where Grafana looks for them: %+v", provider)
	}
	var dashboard struct {
		Title, UID string
		Panels     []struct {
			Title      string
			Datasource struct{ Type, UID string }
			Targets    []struct {
				Expr, Query, QueryType string
				Datasource             struct{ Type, UID string }
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana", "dashboards", "services.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			if s := sources[target.Datasource.UID]; s.Type != target.Datasource.Type {
				t.Errorf("%q: no data source %+v", p.Title, target.Datasource)
			}
			if target.Datasource.Type == "prometheus" {
				checkPromQL(t, strings.NewReplacer("$__rate_interval", "5m", "$service", "a|b").Replace(target.Expr))
			}
		}
		if len(p.Targets) == 0 {
			t.Errorf("%q shows nothing", p.Title)
		}
	}
	if len(dashboard.Panels) < 6 || dashboard.UID == "" {
		t.Errorf("%+v", dashboard)
	}
}
