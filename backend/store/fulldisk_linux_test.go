package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/store"
)

// TestFullDisk fills a real disk, a small tmpfs, where mounting is allowed. Appends
// are refused, queries answered, and appends taken again once there is space;
// nothing that was acknowledged is lost.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	options := crashOptions
	options.HeadSpans = 1000
	db := openDir(t, data, options)
	acknowledged, n := map[int]bool{}, 0
	appendOne := func() error {
		err := db.Append(t.Context(), numbered(n))
		if err == nil {
			acknowledged[n] = true
		} else if !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
		n++
		return err
	}
	deadline := time.Now().Add(2 * time.Minute)
	for appendOne() == nil {
		if time.Now().After(deadline) {
			t.Fatal("the disk does not become full")
		}
	}
	for range 20 {
		_ = appendOne()
	}
	check(t, db, n, acknowledged)
	if s := db.Stats(); s.Refused == 0 {
		t.Errorf("%+v", s)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for range 500 { // more than the heads that wait to be sealed could hold
		for appendOne() != nil {
			if time.Now().After(deadline) {
				t.Fatal("appends are still refused")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	check(t, db, n, acknowledged)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openDir(t, data, options)
	check(t, db, n, acknowledged)
	if s := db.Stats(); s.CorruptFiles != 0 {
		t.Errorf("%+v", s)
	}
	t.Logf("%d requests, %d acknowledged", n, len(acknowledged))
}
