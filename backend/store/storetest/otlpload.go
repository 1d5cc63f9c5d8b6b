package storetest

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/store"
)

// LoadEnd is when the hour of the spans of [Load] ends, unix seconds.
const LoadEnd = 1_790_000_000

// Load opens a store on disk that holds the spans which bench/otlpload sends, all
// in segments. What makes them is run with the go command from root, the top of the
// checkout; a file that it wrote with -end 1790000000 can be named in
// OTLPLOAD_REQUESTS instead.
func Load(tb testing.TB, root string, spans int, options store.Options) *store.DB {
	tb.Helper()
	name := os.Getenv("OTLPLOAD_REQUESTS")
	if name == "" {
		name = filepath.Join(tb.TempDir(), "requests")
		cmd := exec.Command("go", "run", ".", "-spans", strconv.Itoa(spans), "-end", strconv.Itoa(LoadEnd), "-out", name)
		cmd.Dir = filepath.Join(root, "bench", "otlpload")
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			tb.Fatalf("running otlpload: %v\n%s", err, out)
		}
	}
	requests, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	// Spans that start later than now are rejected nowhere, but retention and
	// sealing go by the clock.
	options.Now = func() time.Time { return time.Unix(LoadEnd, 0) }
	dir := tb.TempDir()
	db, err := store.Open(dir, options)
	if err != nil {
		tb.Fatal(err)
	}
	for len(requests) > 0 && db.Stats().Spans < spans {
		n, k := binary.Uvarint(requests)
		request := requests[k:][:n]
		requests = requests[k+int(n):]
		if _, _, err := db.AppendRequest(tb.Context(), string(request)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
	if db, err = store.Open(dir, options); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}
