package articles

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxDataErrors is how many faulty entries a message names.
const maxDataErrors = 10

// Load reads the articles of the JSON file at path: an array of objects with id, author, title and text. All faults
// are reported, up to ten, each naming its entry.
func Load(path string) ([]Article, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the data source: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	// Some editors put a byte order mark in front, and suggestions takes it too.
	if mark, _ := r.Peek(3); string(mark) == "\uFEFF" {
		_, _ = r.Discard(len(mark))
	}
	articles, err := readArticles(r)
	if err != nil {
		return nil, fmt.Errorf("reading the data source %q: %w", path, err)
	}
	return articles, nil
}

// entry is an article of the file; pointers tell a missing field from an empty one.
type entry struct {
	ID     *ArticleID `json:"id"`
	Author *string    `json:"author"`
	Title  *string    `json:"title"`
	Text   *string    `json:"text"`
}

// readArticles decodes entry by entry, so that a large file is never in memory twice.
func readArticles(r io.Reader) ([]Article, error) {
	dec := json.NewDecoder(r)
	if tok, err := dec.Token(); err != nil {
		return nil, jsonError(err)
	} else if tok != json.Delim('[') {
		return nil, errors.New("not a JSON array of articles")
	}
	var (
		articles = []Article{}
		first    = make(map[ArticleID]int)
		errs     []error
	)
	for i := 1; dec.More(); i++ {
		var e entry
		if err := dec.Decode(&e); err != nil {
			// The decoder does not go on behind a syntax error.
			return nil, errors.Join(append(errs, fmt.Errorf("entry %d: %w", i, jsonError(err)))...)
		}
		if err := e.check(first); err != nil {
			if errs = append(errs, fmt.Errorf("entry %d: %w", i, err)); len(errs) == maxDataErrors {
				return nil, errors.Join(append(errs, errors.New("further faults are not shown"))...)
			}
			continue
		}
		first[*e.ID] = i
		articles = append(articles, Article{ID: *e.ID, Author: *e.Author, Title: *e.Title, Text: *e.Text})
	}
	if _, err := dec.Token(); err != nil {
		errs = append(errs, jsonError(err))
	} else if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		errs = append(errs, errors.New("there is data behind the array"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return articles, nil
}

// check reports the first fault of an entry; first holds where each id was seen.
func (e entry) check(first map[ArticleID]int) error {
	if e.ID == nil {
		return errors.New(`"id" is missing`)
	}
	if !e.ID.valid() {
		return fmt.Errorf(`"id" %.64q is not 32 lower-case hexadecimal digits`, *e.ID)
	}
	if i, ok := first[*e.ID]; ok {
		return fmt.Errorf("id %q is already that of entry %d", *e.ID, i)
	}
	for _, f := range []struct {
		name  string
		value *string
	}{{"author", e.Author}, {"title", e.Title}, {"text", e.Text}} {
		if f.value == nil {
			return fmt.Errorf("article %q: %q is missing", *e.ID, f.name)
		}
	}
	return nil
}

// jsonError says in words where a file ends too early.
func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends too early")
	}
	return err
}
