package mocks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func config(t *testing.T, articles, suggestions int, seed uint64) Config {
	dir := t.TempDir()
	return Config{
		Articles: articles, Suggestions: suggestions, Seed: seed,
		ArticlesFile:    filepath.Join(dir, "articles", "articles.json"),
		SuggestionsFile: filepath.Join(dir, "suggestions", "suggestions.json"),
	}
}

func load(t *testing.T, c Config) ([]article, map[string][]string) {
	t.Helper()
	var articles []article
	suggestions := map[string][]string{}
	for name, into := range map[string]any{c.ArticlesFile: &articles, c.SuggestionsFile: &suggestions} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return articles, suggestions
}

// Seed fault D9: the published script drew with replacement, so that an
// article had the same suggestion twice, or itself.
func TestSuggestionsAreDistinctExistAndNeverTheArticle(t *testing.T) {
	for _, n := range []struct{ articles, suggestions int }{{1, 0}, {2, 1}, {10, 5}, {10, 9}, {300, 7}} {
		c := config(t, n.articles, n.suggestions, 42)
		if err := Write(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		articles, suggestions := load(t, c)
		if len(articles) != n.articles || len(suggestions) != n.articles {
			t.Fatalf("%+v: %d articles, %d with suggestions", n, len(articles), len(suggestions))
		}
		id := regexp.MustCompile(`^[0-9a-f]{32}$`)
		known := map[string]bool{}
		for _, a := range articles {
			if known[a.ID] || !id.MatchString(a.ID) || a.Author == "" || a.Title == "" || a.Text == "" {
				t.Fatalf("bad article %+v", a)
			}
			known[a.ID] = true
		}
		for of, ids := range suggestions {
			if !known[of] || ids == nil || len(ids) != n.suggestions {
				t.Fatalf("%+v: article %q has suggestions %q", n, of, ids)
			}
			seen := map[string]bool{of: true}
			for _, s := range ids {
				if seen[s] || !known[s] {
					t.Fatalf("%+v: article %q has a bad suggestion %q in %q", n, of, s, ids)
				}
				seen[s] = true
			}
		}
	}
}

// Every article is suggested about equally often.
func TestSuggestionsAreSpread(t *testing.T) {
	c := config(t, 100, 10, 1)
	if err := Write(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	_, suggestions := load(t, c)
	for _, ids := range suggestions {
		for _, id := range ids {
			count[id]++
		}
	}
	if len(count) != 100 {
		t.Errorf("%d of 100 articles are suggested", len(count))
	}
	for id, n := range count {
		if n > 30 {
			t.Errorf("%q is suggested %d times, 10 expected", id, n)
		}
	}
}

func TestSameSeedGivesSameFiles(t *testing.T) {
	read := func(seed uint64) []byte {
		c := config(t, 20, 5, seed)
		if err := Write(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, name := range []string{c.ArticlesFile, c.SuggestionsFile} {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
	if !bytes.Equal(read(7), read(7)) {
		t.Error("one seed gave two data sets")
	}
	if bytes.Equal(read(7), read(8)) {
		t.Error("two seeds gave one data set")
	}
}

func TestImpossibleCounts(t *testing.T) {
	for _, n := range []struct {
		articles, suggestions int
		want                  string
	}{
		{0, 0, "at least 1"},
		{-1, 0, "at least 1"},
		{5, -1, "0 or more"},
		{5, 5, "4 at most"},
		{5, 6, "4 at most"},
	} {
		c := config(t, n.articles, n.suggestions, 0)
		err := Write(t.Context(), c)
		if !errors.Is(err, ErrCounts) || !strings.Contains(err.Error(), n.want) {
			t.Errorf("%+v: %v", n, err)
		}
		if _, err := os.Stat(c.ArticlesFile); err == nil {
			t.Errorf("%+v: a file was written", n)
		}
	}
}

func TestInterruptedWriteLeavesOldFiles(t *testing.T) {
	c := config(t, 50, 5, 1)
	if err := Write(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(c.ArticlesFile)
	ctx, cancel := context.WithCancel(t.Context())
	c.Seed = 2
	c.Progress = func(done, total int) {
		if done == total-1 {
			cancel()
		}
	}
	if err := Write(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	after, _ := os.ReadFile(c.ArticlesFile)
	if !bytes.Equal(before, after) {
		t.Error("the interrupted run replaced the articles")
	}
	for _, name := range []string{c.ArticlesFile, c.SuggestionsFile} {
		if files, _ := os.ReadDir(filepath.Dir(name)); len(files) != 1 {
			t.Errorf("left behind beside %s: %v", name, files)
		}
	}
}

// A data set far larger than what may be held: memory does not follow it.
func TestMemoryIsBounded(t *testing.T) {
	c := config(t, 100_000, 5, 1)
	var peak uint64
	var m runtime.MemStats
	c.Progress = func(done, _ int) {
		if done%10_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}
	if err := Write(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(c.ArticlesFile)
	if err != nil {
		t.Fatal(err)
	}
	if peak > 8<<20 {
		t.Errorf("heap of %d MiB for a file of %d MiB", peak>>20, info.Size()>>20)
	}
}
