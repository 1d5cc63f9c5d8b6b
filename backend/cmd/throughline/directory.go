package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/throughline/throughline/backend/api"
	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/store"
)

// openDirectory reads a data directory by the same API as a server's, which is
// served in this process and to nobody else: so a directory answers what a server
// answers.
func openDirectory(ctx context.Context, dir string, stderr io.Writer) (client.Client, func() error, error) {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := openStore(dir, log, false)
	if err != nil {
		return nil, nil, err
	}
	pipe := bufconn.Listen(256 << 10)
	server := &http.Server{
		Handler:  api.New(api.Config{Store: db, Version: version(), Started: time.Now(), Log: log}),
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(pipe) }()
	transport := &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return pipe.DialContext(ctx) },
		DisableCompression: true,
	}
	end := func() error {
		transport.CloseIdleConnections()
		err := errors.Join(server.Close(), db.Close())
		<-served
		return err
	}
	cl, err := client.Open(ctx, client.Options{URL: "http://data", Kind: client.KindThroughline, Transport: transport, Timeout: time.Hour})
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return cl, end, nil
}

// openStore opens a directory, which has to be there unless it is to be written.
func openStore(dir string, log *slog.Logger, write bool) (*store.DB, error) {
	if info, err := os.Stat(dir); err != nil && !(write && errors.Is(err, os.ErrNotExist)) {
		return nil, fmt.Errorf("--data: %w", err)
	} else if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("--data %q: not a directory", dir)
	}
	// What is imported is synced when the store is closed, and else imported again.
	db, err := store.Open(dir, store.Options{Durability: store.Durability{Sync: !write}, Log: log})
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("%w; a server runs on it: reach it with --url", err)
	}
	return db, err
}
