package tracing_test

import (
	"strings"
	"testing"

	tracing "github.com/throughline/throughline/tracing/go"
)

func TestCheckEnvironmentNamesEveryFault(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_SDK_DISABLED": "maybe", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2",
		"OTEL_PROPAGATORS": "tracecontext, zzz", "OTEL_BSP_SCHEDULE_DELAY": "abc", "OTEL_SPAN_LINK_COUNT_LIMIT": "-1",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "zip", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/no/such/file",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "::bad", "OTEL_RESOURCE_ATTRIBUTES": "novalue",
	} {
		t.Setenv(name, value)
	}
	err := tracing.CheckEnvironment()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`OTEL_SDK_DISABLED "maybe"`, `OTEL_TRACES_SAMPLER_ARG "2"`, `"zzz"`, `OTEL_BSP_SCHEDULE_DELAY "abc"`,
		`OTEL_SPAN_LINK_COUNT_LIMIT "-1"`, `OTEL_EXPORTER_OTLP_COMPRESSION "zip"`, "OTEL_EXPORTER_OTLP_CERTIFICATE",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_RESOURCE_ATTRIBUTES",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in:\n%v", want, err)
		}
	}
}

func TestCheckEnvironmentTakesWhatIsGood(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_SDK_DISABLED": "FALSE", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25",
		"OTEL_PROPAGATORS": "tracecontext,baggage,b3,b3multi,jaeger", "OTEL_BSP_SCHEDULE_DELAY": "200",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example.com:4318/x",
		"OTEL_RESOURCE_ATTRIBUTES": "a=b,c=d%20e,", "OTEL_EXPORTER_OTLP_TIMEOUT": "",
	} {
		t.Setenv(name, value)
	}
	if err := tracing.CheckEnvironment(); err != nil {
		t.Error(err)
	}
}

// What cannot be read of the headers is refused, because the exporters would write it to the log.
func TestHeadersThatCannotBeReadAreRefusedWithoutTheirValue(t *testing.T) {
	for _, value := range []string{"Bearer s3cret", "authorization=%zzs3cret", "bad name=s3cret", "a=b,s3cret"} {
		t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", value)
		_, err := tracing.Start(t.Context(), tracing.Config{ServiceName: "s"})
		if err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_HEADERS") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", value, err)
		}
	}
}
