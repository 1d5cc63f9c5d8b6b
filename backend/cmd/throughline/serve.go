package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/throughline/throughline/backend/ingest"
	"github.com/throughline/throughline/backend/server"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/ui"
)

func serveCommand() *cobra.Command {
	var (
		config     server.Config
		durability string
		logLevel   slog.Level
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Receive traces, keep them, and serve the UI and the APIs",
		Long: `Run the backend: OTLP receivers for gRPC and HTTP, the store, the web UI, the
native API below /api/native/v1/, and the read APIs of Jaeger and, below /tempo,
of Tempo.

Spans are kept in the directory --data, by default throughline in the user's data
home, and are still there after a restart, a crash or a loss of power: an export is
acknowledged once it is on disk. --data :memory: keeps them in memory, up to
--max-bytes. The oldest go first when they are over --max-bytes or older than
--retention. Everything listens on 127.0.0.1 unless told otherwise, in plaintext
and without a login; --tls-cert, --otlp-token-file and --api-token-file change that.

Each flag has an environment variable, which the flag wins over: --otlp-grpc is
THROUGHLINE_OTLP_GRPC.`,
		Example: `  throughline serve
  throughline serve --listen 127.0.0.1:0 --otlp-grpc 127.0.0.1:14317 --otlp-http 127.0.0.1:14318
  THROUGHLINE_MAX_BYTES=1GiB throughline serve --retention 24h`,
		Args: cobra.NoArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return fromEnvironment(cmd.Flags(), os.LookupEnv)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if config.Data == "" {
				dir, err := dataHome(runtime.GOOS, os.LookupEnv, os.UserHomeDir)
				if err != nil {
					return &usageError{fmt.Errorf("--data is not set: %w", err)}
				}
				config.Data = dir
			}
			var err error
			if config.Store.Durability, err = parseDurability(durability); err != nil {
				return &usageError{fmt.Errorf("--durability %w", err)}
			}
			if config.Store.MaxBytes == 0 {
				config.Store.MaxBytes = defaultMaxBytes
				if config.Data == server.MemoryData {
					config.Store.MaxBytes = store.DefaultMaxBytes
				}
			}
			if config.Store.MaxBytes < minMaxBytes {
				return &usageError{fmt.Errorf("--max-bytes %d: want at least %d", config.Store.MaxBytes, minMaxBytes)}
			}
			if config.Store.Retention < 0 {
				return &usageError{fmt.Errorf("--retention %s: want 0 or more", config.Store.Retention)}
			}
			if d := config.Limits.Depth; d < 1 || d > maxDepth {
				return &usageError{fmt.Errorf("--max-attribute-depth %d: want 1 to %d", d, maxDepth)}
			}
			config.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: logLevel}))
			config.Version = version()
			config.UI = ui.Handler()
			return server.Run(cmd.Context(), config, nil)
		},
	}
	f := cmd.Flags()
	f.StringVar(&config.Listen, "listen", "127.0.0.1:16686", "address of the UI and the APIs")
	f.StringVar(&config.OTLPGRPC, "otlp-grpc", "127.0.0.1:4317", "address of OTLP over gRPC; empty turns it off")
	f.StringVar(&config.OTLPHTTP, "otlp-http", "127.0.0.1:4318", "address of OTLP over HTTP; empty turns it off")
	f.StringVar(&config.JaegerGRPC, "jaeger-grpc", "127.0.0.1:16685", "address of Jaeger's query service over gRPC; empty turns it off")
	f.StringVar(&config.Data, "data", "", "directory that spans are kept in, or "+server.MemoryData+" (default throughline in the user's data home)")
	f.StringVar(&durability, "durability", "sync", "when an export is acknowledged: sync, once it is on disk; interval=200ms, at once, synced so often; none, at once, synced by the operating system")
	f.Var((*byteSize)(&config.Store.MaxBytes), "max-bytes", "bound on the disk that spans take (default 10GiB), or on the memory with "+server.MemoryData+" (default 256MiB)")
	f.DurationVar(&config.Store.Retention, "retention", 0, "how long spans are kept; 0 is as long as there is room")
	f.StringSliceVar(&config.AllowedHosts, "allowed-hosts", nil, "host names that requests may be for, beside localhost, IP addresses, names without a dot and .internal; checked when bound to loopback or when given")
	f.StringSliceVar(&config.OTLPOrigins, "otlp-cors-origins", nil, "origins whose web pages may send spans over HTTP, such as https://shop.example; none by default")
	config.Limits = ingest.Limits{Body: 16 << 20, Decompressed: 64 << 20, Depth: 32, InFlight: 512 << 20}
	f.Var((*byteSize)(&config.Limits.Body), "max-request-bytes", "largest export request as it comes")
	f.Var((*byteSize)(&config.Limits.Decompressed), "max-decompressed-bytes", "largest export request after decompression")
	f.IntVar(&config.Limits.Depth, "max-attribute-depth", 32, "deepest nesting of lists and maps in an attribute")
	f.Var((*byteSize)(&config.Limits.InFlight), "max-in-flight-bytes", "memory that all export requests in work may take; beyond it clients are told to try again")
	f.StringVar(&config.TLS.Cert, "tls-cert", "", "PEM file of the certificate by which every port speaks TLS; read again when it changes")
	f.StringVar(&config.TLS.Key, "tls-key", "", "PEM file of its key")
	f.StringVar(&config.TLS.ClientCA, "tls-client-ca", "", "PEM file of the authorities of which who sends spans must show a certificate")
	f.StringVar(&config.OTLPToken.Value, "otlp-token", "", "bearer token that who sends spans must have; other users see a flag, so rather use its variable or a file")
	f.StringVar(&config.OTLPToken.File, "otlp-token-file", "", "file of such tokens, one a line; read again when it changes")
	f.StringVar(&config.APIToken.Value, "api-token", "", "bearer token that who reads must have; browsers are asked for it")
	f.StringVar(&config.APIToken.File, "api-token-file", "", "file of such tokens, one a line; read again when it changes")
	f.DurationVar(&config.ShutdownTimeout, "shutdown-timeout", 5*time.Second, "how long a stop may take")
	f.TextVar(&logLevel, "log-level", slog.LevelInfo, "least level that is logged: debug, info, warn or error")
	return cmd
}

const (
	// defaultMaxBytes keeps a server that nobody looks after from filling the disk:
	// 10 GiB are some 200 million spans.
	defaultMaxBytes = 10 << 30
	minMaxBytes     = 1 << 20
	maxDepth        = 1000
)

// dataHome is where the XDG base directory specification has a user's data, or
// what the other systems have in its place.
func dataHome(system string, lookup func(string) (string, bool), userHome func() (string, error)) (string, error) {
	if dir, ok := lookup("XDG_DATA_HOME"); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "throughline"), nil
	}
	home, err := userHome()
	if err != nil {
		return "", err
	}
	switch system {
	case "windows":
		if dir, ok := lookup("LocalAppData"); ok && dir != "" {
			return filepath.Join(dir, "throughline"), nil
		}
	case "darwin":
		return filepath.Join(home, "Library", "Application Support", "throughline"), nil
	}
	return filepath.Join(home, ".local", "share", "throughline"), nil
}

func parseDurability(s string) (store.Durability, error) {
	switch {
	case s == "sync":
		return store.Durability{Sync: true}, nil
	case s == "none":
		return store.Durability{}, nil
	case strings.HasPrefix(s, "interval="):
		d, err := time.ParseDuration(strings.TrimPrefix(s, "interval="))
		if err == nil && d > 0 {
			return store.Durability{Interval: d}, nil
		}
	}
	return store.Durability{}, fmt.Errorf("%q: want sync, interval=200ms or none", s)
}

// fromEnvironment sets the flags that were not given from THROUGHLINE_… variables;
// an empty variable is as good as none.
func fromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		name := variable(f.Name)
		value, ok := lookup(name)
		if !ok || value == "" || f.Changed || f.Name == "help" || err != nil {
			return
		}
		if e := flags.Set(f.Name, value); e != nil {
			err = &usageError{fmt.Errorf("%s=%q: %w", name, value, e)}
		}
	})
	return err
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "THROUGHLINE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// byteSize is a flag in bytes, with a binary unit or without.
type byteSize int64

func (b *byteSize) Type() string { return "bytes" }

func (b *byteSize) String() string {
	n := int64(*b)
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func (b *byteSize) Set(s string) error {
	digits := strings.TrimRight(s, "BIKMGTbikmgt ")
	shift := 0
	switch unit := strings.ToUpper(strings.TrimSpace(s[len(digits):])); unit {
	case "", "B":
	case "K", "KB", "KIB":
		shift = 10
	case "M", "MB", "MIB":
		shift = 20
	case "G", "GB", "GIB":
		shift = 30
	case "T", "TB", "TIB":
		shift = 40
	default:
		return fmt.Errorf("%q: want a size such as 256MiB", s)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > int64(1)<<62>>shift {
		return fmt.Errorf("%q: want a size such as 256MiB", s)
	}
	*b = byteSize(n << shift)
	return nil
}
