package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/api"
	"github.com/throughline/throughline/backend/mcp"
)

func mcpCommand() *cobra.Command {
	var (
		c       connection
		address string
		allowed []string
	)
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Let a language model read traces, by the Model Context Protocol",
		Long: `Serve the Model Context Protocol on the standard input and output, as clients start it,
or over HTTP on the address of --http. The tools search, trace, services, operations and
metrics only read, and their answers are bounded. The server that is read need not run yet.

Over HTTP there is no login: whoever reaches the address reads the traces. Listen on
loopback, as 127.0.0.1:8765. Pages of other origins and requests for foreign host names
are refused.` + readingHelp + environmentHelp,
		Example: `  throughline mcp
  throughline mcp --url http://tempo.internal:3200
  throughline mcp --http 127.0.0.1:8765`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			cl, end, err := c.openLazy(ctx, cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, end()) }()
			server := mcp.New(mcp.Config{Client: cl, Version: version()})
			if address != "" {
				return serveMCP(ctx, server, address, allowed, cmd.ErrOrStderr())
			}
			err = server.Run(ctx, &sdk.IOTransport{Reader: io.NopCloser(cmd.InOrStdin()), Writer: nopCloser{cmd.OutOrStdout()}})
			if ctx.Err() != nil || errors.Is(err, io.EOF) {
				return nil // the client left
			}
			return err
		},
	}
	c.add(cmd)
	cmd.Flags().StringVar(&address, "http", "", "serve over HTTP on this address instead, such as 127.0.0.1:8765, at the path /mcp; without a host it is loopback")
	cmd.Flags().StringSliceVar(&allowed, "allowed-hosts", nil, "host names that requests over HTTP may be for, beside localhost, IP addresses, names without a dot and .internal")
	return cmd
}

func serveMCP(ctx context.Context, server *sdk.Server, address string, allowed []string, stderr io.Writer) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return &usageError{fmt.Errorf("--http %q: want host:port", address)}
	}
	if host == "" { // not every address of this machine
		host = "127.0.0.1"
	}
	address = net.JoinHostPort(host, port)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("--http %q: %w", address, err)
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		fmt.Fprintln(stderr, "throughline: there is no login: whoever reaches this address reads the traces")
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcp.Handler(server, api.HostCheck(address, allowed)))
	web := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 2 * time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	fmt.Fprintf(stderr, "MCP at http://%s/mcp\n", l.Addr())
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving MCP: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(web.Shutdown(end), ignoreClosed(<-ended))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
