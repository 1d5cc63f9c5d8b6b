package store_test

import (
	"log/slog"
	"testing"

	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.DB { return open(t, store.Options{}) })
}

func open(t testing.TB, options store.Options) *store.DB {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	db := store.New(options)
	t.Cleanup(func() { db.Close() })
	return db
}
