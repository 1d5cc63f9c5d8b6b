// Package mocks writes the example services' data: the articles, and for each
// article the ids of those suggested beside it.
//
// The same seed and counts give the same bytes. Any number of articles streams
// to disk in bounded memory, because an id is a function of the seed and the
// article's number and nothing has to be remembered. Both files are complete
// before either gets its name. The package does not read the files; the
// services check what they load.
package mocks

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/brianvoe/gofakeit/v7"
)

// Config says what to write and where.
type Config struct {
	// Articles is how many articles there are, at least 1.
	Articles int
	// Suggestions is how many suggestions each article has; they are distinct
	// and never the article itself, so it is less than Articles.
	Suggestions int
	Seed        uint64

	ArticlesFile    string
	SuggestionsFile string

	// Progress, when set, is told after each article how many of the two
	// files' entries are written, out of twice Articles.
	Progress func(done, total int)
}

// ErrCounts marks counts that no data set can have.
var ErrCounts = errors.New("impossible counts")

func (c Config) check() error {
	switch {
	case c.Articles < 1:
		return fmt.Errorf("%w: %d articles, want at least 1", ErrCounts, c.Articles)
	case c.Suggestions < 0:
		return fmt.Errorf("%w: %d suggestions, want 0 or more", ErrCounts, c.Suggestions)
	case c.Suggestions >= c.Articles:
		return fmt.Errorf("%w: %d suggestions for each of %d articles: suggestions are distinct and never the article itself, so there can be %d at most",
			ErrCounts, c.Suggestions, c.Articles, c.Articles-1)
	}
	return nil
}

// Write makes both files. When it fails or ctx ends, files that were there
// before are left as they were.
func Write(ctx context.Context, c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	done := 0
	step := func() error {
		done++
		if c.Progress != nil {
			c.Progress(done, 2*c.Articles)
		}
		return ctx.Err()
	}
	articles, err := writeTemp(c.ArticlesFile, func(w *bufio.Writer) error { return c.writeArticles(w, step) })
	if err != nil {
		return fmt.Errorf("writing articles to %q: %w", c.ArticlesFile, err)
	}
	defer os.Remove(articles)
	suggestions, err := writeTemp(c.SuggestionsFile, func(w *bufio.Writer) error { return c.writeSuggestions(w, step) })
	if err != nil {
		return fmt.Errorf("writing suggestions to %q: %w", c.SuggestionsFile, err)
	}
	defer os.Remove(suggestions)
	if err := os.Rename(articles, c.ArticlesFile); err != nil {
		return err
	}
	return os.Rename(suggestions, c.SuggestionsFile)
}

// id is the id of article number i: 32 hex digits, different for each i as far
// as 128 bits of SHA-256 are.
func (c Config) id(i int) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], c.Seed)
	binary.BigEndian.PutUint64(b[8:], uint64(i))
	sum := sha256.Sum256(b[:])
	return hex.EncodeToString(sum[:16])
}

type article struct {
	ID     string `json:"id"`
	Author string `json:"author"`
	Title  string `json:"title"`
	Text   string `json:"text"`
}

func (c Config) writeArticles(w *bufio.Writer, step func() error) error {
	fake := gofakeit.NewFaker(rand.NewPCG(c.Seed, 0), false)
	return writeList(w, '[', ']', c.Articles, func(i int) error {
		text := fake.Sentence()
		for range fake.IntRange(1, 3) {
			text += " " + fake.Sentence()
		}
		b, err := json.Marshal(article{c.id(i), fake.Name(), fake.Sentence(), text})
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		return step()
	})
}

func (c Config) writeSuggestions(w *bufio.Writer, step func() error) error {
	return writeList(w, '{', '}', c.Articles, func(i int) error {
		ids := make([]string, 0, c.Suggestions)
		for _, n := range c.pick(i) {
			ids = append(ids, c.id(n))
		}
		b, err := json.Marshal(ids)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%q: %s", c.id(i), b); err != nil {
			return err
		}
		return step()
	})
}

// pick draws Suggestions distinct articles other than i, in Floyd's way
// (Bentley and Floyd, "A sample of brilliance", 1987): memory and time grow
// with what is drawn, not with the number of articles.
func (c Config) pick(i int) []int {
	rng := rand.New(rand.NewPCG(c.Seed, uint64(i)+1))
	others := c.Articles - 1
	picked := make([]int, 0, c.Suggestions)
	seen := make(map[int]bool, c.Suggestions)
	for top := others - c.Suggestions; top < others; top++ {
		n := rng.IntN(top + 1)
		if seen[n] {
			n = top
		}
		seen[n] = true
		picked = append(picked, n)
	}
	rng.Shuffle(len(picked), func(a, b int) { picked[a], picked[b] = picked[b], picked[a] })
	for k, n := range picked {
		if n >= i {
			picked[k] = n + 1
		}
	}
	return picked
}

// writeList frames n entries as a JSON array or object, an entry a line.
func writeList(w *bufio.Writer, open, end byte, n int, entry func(i int) error) error {
	w.WriteByte(open)
	for i := range n {
		if i > 0 {
			w.WriteByte(',')
		}
		w.WriteString("\n  ")
		if err := entry(i); err != nil {
			return err
		}
	}
	w.WriteByte('\n')
	w.WriteByte(end)
	return w.WriteByte('\n')
}

// writeTemp writes a synced file beside path and returns its name.
func writeTemp(path string, write func(*bufio.Writer) error) (name string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := f.Chmod(0o644); err != nil {
		return "", err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return "", err
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}
