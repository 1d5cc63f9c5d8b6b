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

func TestDisk(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.DB {
		return openDir(t, t.TempDir(), store.Options{Durability: store.Durability{Sync: true}})
	})
}

// A store whose heads are sealed all the time answers the same.
func TestSmallHeads(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.DB {
		return openDir(t, t.TempDir(), store.Options{HeadSpans: 200})
	})
}

func open(t testing.TB, options store.Options) *store.DB {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	db := store.New(options)
	t.Cleanup(func() { db.Close() })
	return db
}

func openDir(t testing.TB, dir string, options store.Options) *store.DB {
	t.Helper()
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	db, err := store.Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
