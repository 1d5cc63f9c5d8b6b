package tracing

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/contrib/propagators/autoprop"
)

// CheckEnvironment reports the OTEL_* variables whose values mean nothing, all of them at once. [Start] logs or ignores
// these, as the specification asks of a library; a program that would rather not start with them calls this first. A
// value that may hold a secret is not part of the message.
func CheckEnvironment() error {
	var errs []error
	fault := func(name, want string) {
		errs = append(errs, fmt.Errorf("%s %q: %s", name, env(name), want))
	}
	oneOf := func(name string, values ...string) {
		if v := env(name); v != "" && !slices.Contains(values, strings.ToLower(v)) {
			fault(name, "want one of "+strings.Join(values, ", "))
		}
	}
	oneOf("OTEL_SDK_DISABLED", "true", "false")
	oneOf("OTEL_TRACES_SAMPLER", "always_on", "always_off", "traceidratio",
		"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")
	if strings.HasSuffix(strings.ToLower(env("OTEL_TRACES_SAMPLER")), "traceidratio") && env("OTEL_TRACES_SAMPLER_ARG") != "" {
		if f, err := strconv.ParseFloat(env("OTEL_TRACES_SAMPLER_ARG"), 64); err != nil || !(f >= 0 && f <= 1) {
			fault("OTEL_TRACES_SAMPLER_ARG", "want a number from 0 to 1")
		}
	}
	for name := range strings.SplitSeq(env("OTEL_PROPAGATORS"), ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if slices.Contains([]string{"", "none", "tracecontext", "baggage"}, name) {
			continue
		}
		if _, err := autoprop.TextMapPropagator(name); err != nil {
			errs = append(errs, fmt.Errorf("OTEL_PROPAGATORS: %q is not known", name))
		}
	}
	for _, name := range numbers {
		if v := env(name); v != "" {
			if n, err := strconv.Atoi(v); err != nil || n < 0 {
				fault(name, "want a number from 0 up")
			}
		}
	}
	for pair := range strings.SplitSeq(env("OTEL_RESOURCE_ATTRIBUTES"), ",") {
		if key, _, found := strings.Cut(pair, "="); strings.TrimSpace(pair) != "" && (!found || strings.TrimSpace(key) == "") {
			errs = append(errs, errors.New("OTEL_RESOURCE_ATTRIBUTES: want key=value, separated by commas"))
			break
		}
	}
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
		oneOf(prefix+"COMPRESSION", "gzip", "none")
		for _, file := range []string{"CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
			if path := env(prefix + file); path != "" {
				if _, err := os.Stat(path); err != nil {
					errs = append(errs, fmt.Errorf("%s%s: %w", prefix, file, err))
				}
			}
		}
		if v := env(prefix + "ENDPOINT"); v != "" {
			if u, err := url.Parse(v); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
				errs = append(errs, fmt.Errorf("%sENDPOINT: want a URL such as http://localhost:4318", prefix))
			}
		}
	}
	return errors.Join(errs...)
}

// numbers are the variables that hold a count or milliseconds.
var numbers = []string{
	"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
	"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
	"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT",
	"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
	"OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
	"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
}
