package articles

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	tracing "github.com/throughline/throughline/tracing/go"
)

// ServiceName is service.name unless OTEL_SERVICE_NAME says otherwise.
const ServiceName = "articles-service"

// Config is what the program is told by flags and environment. A flag wins over its variable.
type Config struct {
	// Host is the address to listen on.
	Host string
	// Port to listen on; 0 takes a free one.
	Port int
	// SuggestionsHost is the URL of the suggestions service.
	SuggestionsHost *url.URL
	// DataSource is the JSON file with the articles.
	DataSource string
	// SuggestionsConcurrency is how many calls to suggestions a request has under way at most.
	SuggestionsConcurrency int
	// SuggestionsTimeout is the time of one call to suggestions.
	SuggestionsTimeout time.Duration
	// RequestTimeout is the time of one request.
	RequestTimeout time.Duration
	// ShutdownTimeout is the time from the signal to the exit: requests are drained, then spans flushed.
	ShutdownTimeout time.Duration
	LogLevel        slog.Level
	// LeanTracing leaves out the spans of request decoder and response encoder.
	LeanTracing bool
	// TracingBackendURL is where spans go; empty leaves it to the OTEL_* variables.
	TracingBackendURL string
}

// setting is one flag with its environment variable.
type setting struct {
	flag, env, value, usage string
	set                     func(string) error
}

func (c *Config) settings() []setting {
	return []setting{
		{"host", "HOST", "127.0.0.1", "address to listen on", setString(&c.Host)},
		{"port", "PORT", "8001", "port to listen on, 0 for a free one", setInt(&c.Port, 0, 65535)},
		{
			"suggestions-service-host", "SUGGESTIONS_SERVICE_HOST", "http://127.0.0.1:8002",
			"URL of the suggestions service", func(v string) (err error) {
				c.SuggestionsHost, err = ParseSuggestionsHost(v)
				return err
			},
		},
		{
			"data-source-filename", "DATA_SOURCE_FILENAME", "mocks/articles.json",
			"JSON file with the articles", setString(&c.DataSource),
		},
		{
			"suggestions-concurrency", "SUGGESTIONS_CONCURRENCY", "8",
			"calls to suggestions at a time, per request", setInt(&c.SuggestionsConcurrency, 1, 1024),
		},
		{
			"suggestions-timeout", "SUGGESTIONS_TIMEOUT", "2s",
			"time of one call to suggestions", setDuration(&c.SuggestionsTimeout),
		},
		{"request-timeout", "REQUEST_TIMEOUT", "10s", "time of one request", setDuration(&c.RequestTimeout)},
		{
			"shutdown-timeout", "SHUTDOWN_TIMEOUT", "5s",
			"time to drain requests and flush spans", setDuration(&c.ShutdownTimeout),
		},
		{"log-level", "LOG_LEVEL", "info", "debug, info, warn or error", func(v string) error {
			if err := c.LogLevel.UnmarshalText([]byte(v)); err != nil {
				return errors.New("not one of debug, info, warn, error")
			}
			return nil
		}},
		{
			"tracing-detail", "TRACING_DETAIL", "full",
			"full, or lean: no spans of decoder and encoder", func(v string) error {
				if v != "full" && v != "lean" {
					return errors.New("not one of full, lean")
				}
				c.LeanTracing = v == "lean"
				return nil
			},
		},
		{
			"tracing-backend-url", tracing.BackendURLEnv, "",
			"where spans go: host:port or URL, several separated by commas", func(v string) error {
				c.TracingBackendURL = v
				return tracing.Validate(tracing.Config{BackendURL: v})
			},
		},
	}
}

// ErrUsage says that the command line is wrong; the message is already written.
var ErrUsage = errors.New("usage")

// ParseConfig reads args and the environment (getenv); an empty variable is unset. All faults of values are reported
// at once. A wrong command line gives ErrUsage and -help gives [flag.ErrHelp], with the usage on output.
func ParseConfig(args []string, getenv func(string) string, output io.Writer) (Config, error) {
	var c Config
	settings := c.settings()
	fs := flag.NewFlagSet("articles", flag.ContinueOnError)
	fs.SetOutput(output)
	values := make([]*string, len(settings))
	for i, s := range settings {
		values[i] = fs.String(s.flag, s.value, s.usage+" [$"+s.env+"]")
	}
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return c, err
		}
		return c, ErrUsage
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(output, "unexpected argument %q\n", fs.Arg(0))
		fs.Usage()
		return c, ErrUsage
	}
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })

	var errs []error
	for i, s := range settings {
		name, value := "--"+s.flag, *values[i]
		if !given[s.flag] {
			if v := getenv(s.env); v != "" {
				name, value = s.env, v
			}
		}
		if err := s.set(value); err != nil {
			if s.env == tracing.BackendURLEnv {
				errs = append(errs, err) // it names the variable, and the value may hold a secret
			} else {
				errs = append(errs, fmt.Errorf("%s %q: %w", name, value, err))
			}
		}
	}
	errs = append(errs, tracing.CheckEnvironment())
	return c, errors.Join(errs...)
}

func setString(dst *string) func(string) error {
	return func(v string) error { *dst = v; return nil }
}

func setInt(dst *int, low, high int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return fmt.Errorf("not a number from %d to %d", low, high)
		}
		*dst = n
		return nil
	}
}

func setDuration(dst *time.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return errors.New("not a positive duration such as 500ms or 2s")
		}
		*dst = d
		return nil
	}
}
