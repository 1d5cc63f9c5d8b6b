package server_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/throughline/throughline/backend/server"
)

// scrape reads /metrics as Prometheus does.
func scrape(t *testing.T, a server.Addresses) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get(a.URL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%s %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func value(t *testing.T, families map[string]*dto.MetricFamily, name string) float64 {
	t.Helper()
	f := families[name]
	if f == nil {
		t.Fatalf("no %s", name)
	}
	m := f.Metric[0]
	switch {
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	case m.Counter != nil:
		return m.Counter.GetValue()
	}
	return float64(m.Histogram.GetSampleCount())
}

func TestMetrics(t *testing.T) {
	a := start(t, server.Config{Version: "0.1.0", Data: t.TempDir()})
	text, err := os.ReadFile("../../testdata/traces/articles-with-suggested.json")
	if err != nil {
		t.Fatal(err)
	}
	spans := float64(strings.Count(string(text), `"spanId"`))
	for _, body := range []string{string(text), "{"} {
		resp, err := http.Post("http://"+a.OTLPHTTP+"/v1/traces", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	getJSON(t, a.URL()+"/api/native/v1/services", new(any))
	families := scrape(t, a)
	for name, want := range map[string]float64{
		"throughline_ingest_accepted_spans_total": spans, "throughline_ingest_rejected_requests_total": 1,
		"throughline_ingest_rejected_spans_total": 0, "throughline_ingest_denied_requests_total": 0,
		"throughline_store_spans": spans, "throughline_store_appends_total": 1, "throughline_store_writable": 1,
		"throughline_store_corrupt_files_total": 0, "throughline_store_evicted_spans_total": 0,
		"throughline_ingest_request_duration_seconds": 1, "throughline_store_append_duration_seconds": 1,
		"throughline_build_info": 1,
	} {
		if got := value(t, families, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"go_goroutines", "throughline_store_bytes", "throughline_store_wal_bytes", "throughline_store_head_bytes", "throughline_store_oldest_received_timestamp_seconds"} {
		if value(t, families, name) <= 0 {
			t.Errorf("%s is not above 0", name)
		}
	}
	labels := func(name, label string) (values []string) {
		for _, m := range families[name].GetMetric() {
			for _, l := range m.Label {
				if l.GetName() == label {
					values = append(values, l.GetValue())
				}
			}
		}
		return values
	}
	if got := labels("throughline_build_info", "version"); !slices.Equal(got, []string{"0.1.0"}) {
		t.Errorf("version %q", got)
	}
	if got := labels("throughline_api_request_duration_seconds", "path"); !slices.Contains(got, "/api/native/v1/services") {
		t.Errorf("paths %q", got)
	}
	for name, f := range families {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
	}
}
