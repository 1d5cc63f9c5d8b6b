package store_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
)

var update = flag.Bool("update", false, "write testdata/v1 anew; only before the format is released")

// TestFormat1 opens a directory of format version 1: a segment and a log with
// more, and finds in both what was written.
func TestFormat1(t *testing.T) {
	const from = "testdata/v1"
	if *update {
		writeFormat1(t, from)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(from, "spans.json"))
	if err != nil {
		t.Fatal(err)
	}
	batch, err := span.DecodeJSON(want, span.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	naive := &storetest.Naive{}
	naive.Append(batch.Spans)
	db := openDir(t, dir, store.Options{})
	if s := db.Stats(); s.Segments != 1 || s.HeadSpans == 0 || s.CorruptFiles != 0 {
		t.Fatalf("want a segment and a log: %+v", s)
	}
	compare(t, rand.New(rand.NewPCG(1, 1)), db, naive)
}

func writeFormat1(t *testing.T, to string) {
	spans := storetest.Spans(rand.New(rand.NewPCG(11, 1)), 12)
	half := len(spans) / 2
	dir := t.TempDir()
	for _, part := range [][]span.Span{spans[:half], spans[half:]} {
		db := openDir(t, dir, store.Options{})
		if err := db.Append(t.Context(), &span.Batch{Spans: part}); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*.wal"))
		if len(files) != 1 {
			t.Fatal(files)
		}
		log, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(files[0])), bytes.TrimRight(log, "\x00"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// The first part as a segment, the second as a log.
	segments, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
	slices.Sort(segments)
	data, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, filepath.Base(segments[0])), data, 0o644); err != nil {
		t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(to, "*.wal"))
	slices.Sort(logs)
	if err := os.Remove(logs[0]); err != nil {
		t.Fatal(err)
	}
	var json bytes.Buffer
	if err := span.WriteJSON(&json, spans); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "spans.json"), json.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestNewerFormat refuses files of a newer version by name.
func TestNewerFormat(t *testing.T) {
	for _, suffix := range []string{".seg", ".wal"} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/v1")); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
		storetest.MakeNewer(t, files[0])
		_, err := store.Open(dir, store.Options{})
		if err == nil || !strings.Contains(err.Error(), filepath.Base(files[0])) || !strings.Contains(err.Error(), "format version 2") {
			t.Errorf("%s: got %v", suffix, err)
		}
	}
}

// TestDamagedFiles serves what is left when a segment is damaged, and counts it.
func TestDamagedFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/v1")); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := 2000; i < 4000; i++ {
		data[i] ^= 0xff
	}
	if err := os.WriteFile(files[0], data, 0o644); err != nil {
		t.Fatal(err)
	}
	db := openDir(t, dir, store.Options{})
	before := db.Stats()
	found, err := db.Search(t.Context(), &store.Filter{})
	if err != nil || len(found.Traces) == 0 {
		t.Fatalf("%v, %d traces", err, len(found.Traces))
	}
	after := db.Stats()
	if before.Segments != 1 || after.Segments != 0 || after.CorruptFiles != 1 {
		t.Errorf("%d segments, then %d; %d corrupt files", before.Segments, after.Segments, after.CorruptFiles)
	}
	if _, err := os.Stat(files[0] + ".corrupt"); err != nil {
		t.Error(err)
	}
}

// TestSetAsideIsKept damages the first segment of a directory again and again, with
// nothing else left in it: each is set aside under a name of its own.
func TestSetAsideIsKept(t *testing.T) {
	dir := t.TempDir()
	for n := range 3 {
		db := openDir(t, dir, store.Options{})
		if err := db.Append(t.Context(), numbered(n)); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
		if len(files) != 1 {
			t.Fatalf("%q", files)
		}
		if err := os.WriteFile(files[0], fmt.Append(nil, "damaged ", n), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := openDir(t, dir, store.Options{}).Close(); err != nil {
			t.Fatal(err)
		}
	}
	kept := map[string]bool{}
	files, _ := filepath.Glob(filepath.Join(dir, "*.corrupt"))
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		kept[string(data)] = true
	}
	if len(kept) != 3 {
		t.Errorf("%q have %v, want all three", files, kept)
	}
}

// TestDamagedLog uses what is readable of a log that a crash left and the disk
// damaged, and keeps it beside the segment.
func TestDamagedLog(t *testing.T) {
	dir, crashed := t.TempDir(), t.TempDir()
	db := openDir(t, dir, store.Options{})
	for n := range 3 {
		if err := db.Append(t.Context(), numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	const name = "0000000001.wal"
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	data[100] ^= 1 // in the first request
	if err := os.WriteFile(filepath.Join(crashed, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
	db = openDir(t, crashed, store.Options{})
	if s := db.Stats(); s.CorruptFiles != 1 || s.RecoveredRequests != 2 || s.Spans != 20 {
		t.Errorf("%+v", s)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(filepath.Join(crashed, name+".corrupt")); err != nil || string(kept) != string(data) {
		t.Errorf("not kept: %v", err)
	}
	if s := openDir(t, crashed, store.Options{}).Stats(); s.Spans != 20 || s.Segments != 1 || s.WALFiles != 0 {
		t.Errorf("%+v", s)
	}
}
