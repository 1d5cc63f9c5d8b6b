package deploy

import (
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/confmap"
)

// jaegerFields are the parts of Jaeger's configuration that are used, as its components name them.
type jaegerFields struct {
	Extensions struct {
		Health struct {
			UseV2 bool     `mapstructure:"use_v2"`
			HTTP  endpoint `mapstructure:"http"`
		} `mapstructure:"healthcheckv2"`
		Storage struct {
			Backends map[string]struct {
				Badger struct {
					Directories struct {
						Keys   string `mapstructure:"keys"`
						Values string `mapstructure:"values"`
					} `mapstructure:"directories"`
					Ephemeral bool           `mapstructure:"ephemeral"`
					TTL       map[string]any `mapstructure:"ttl"`
				} `mapstructure:"badger"`
			} `mapstructure:"backends"`
		} `mapstructure:"jaeger_storage"`
		Query struct {
			Storage struct {
				Traces string `mapstructure:"traces"`
			} `mapstructure:"storage"`
			HTTP endpoint `mapstructure:"http"`
			GRPC endpoint `mapstructure:"grpc"`
		} `mapstructure:"jaeger_query"`
	} `mapstructure:"extensions"`
	Receivers struct {
		OTLP struct {
			Protocols map[string]endpoint `mapstructure:"protocols"`
		} `mapstructure:"otlp"`
	} `mapstructure:"receivers"`
	Processors map[string]any `mapstructure:"processors"`
	Exporters  struct {
		Storage struct {
			Traces string `mapstructure:"trace_storage"`
		} `mapstructure:"jaeger_storage_exporter"`
	} `mapstructure:"exporters"`
	Service struct {
		Extensions []string `mapstructure:"extensions"`
		Pipelines  map[string]struct {
			Receivers  []string `mapstructure:"receivers"`
			Processors []string `mapstructure:"processors"`
			Exporters  []string `mapstructure:"exporters"`
		} `mapstructure:"pipelines"`
		Telemetry map[string]any `mapstructure:"telemetry"`
	} `mapstructure:"service"`
}

type endpoint struct {
	Endpoint string `mapstructure:"endpoint"`
}

// Jaeger v2 reads its file as a Collector does; the file was read by the program itself too, as README says.
func TestJaegerConfiguration(t *testing.T) {
	settings := providers
	settings.URIs = []string{"file:" + filepath.Join(root, "jaeger", "jaeger.yaml")}
	resolver, err := confmap.NewResolver(settings)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := resolver.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var c jaegerFields
	if err := conf.Unmarshal(&c); err != nil { // refuses fields that are not known
		t.Fatal(err)
	}
	if len(c.Extensions.Storage.Backends) != 1 {
		t.Fatalf("backends %+v", c.Extensions.Storage.Backends)
	}
	for name, b := range c.Extensions.Storage.Backends {
		if c.Extensions.Query.Storage.Traces != name || c.Exporters.Storage.Traces != name {
			t.Errorf("what is written (%s) is not what is read (%s): %s", c.Exporters.Storage.Traces, c.Extensions.Query.Storage.Traces, name)
		}
		if b.Badger.Ephemeral {
			t.Error("traces are gone when Jaeger stops")
		}
		volume := ""
		for _, v := range load(t, "jaeger/docker-compose.yaml").Services["jaeger"].Volumes {
			if v.Type == "volume" {
				volume = v.Target
			}
		}
		for _, directory := range []string{b.Badger.Directories.Keys, b.Badger.Directories.Values} {
			if !strings.HasPrefix(directory, volume+"/") {
				t.Errorf("%s is not on the volume %q", directory, volume)
			}
		}
	}
	for at, want := range map[string]string{
		c.Receivers.OTLP.Protocols["grpc"].Endpoint: "0.0.0.0:4317",
		c.Receivers.OTLP.Protocols["http"].Endpoint: "0.0.0.0:4318",
		c.Extensions.Query.HTTP.Endpoint:            "0.0.0.0:16686",
		c.Extensions.Health.HTTP.Endpoint:           "0.0.0.0:13133",
	} {
		if at != want {
			t.Errorf("it listens on %q, want %q", at, want)
		}
	}
	p := c.Service.Pipelines["traces"]
	if strings.Join(p.Receivers, " ") != "otlp" || strings.Join(p.Exporters, " ") != "jaeger_storage_exporter" {
		t.Errorf("pipeline %+v", p)
	}
}
