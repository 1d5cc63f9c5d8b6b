// Package ui serves Throughline's web UI: a single-page program that reads the
// native API under /api/native/v1/ of the same origin.
//
// The program is TypeScript (web/), bundled into dist/, which is committed and
// embedded, so that `go install` gives a working UI and no Node is needed to
// build or run. Assets carry the hash of their content in their names and may
// be cached for ever; the page itself is revalidated each time. Answers carry a
// content security policy that lets in nothing but these files, because the
// page shows text that came from anybody who can send a span.
//
// The package does not serve the API, and does no authentication.
package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed dist
var dist embed.FS

// policy allows the page its own script, style and API, and no markup made from
// strings (trusted types), inline code, frames or outside resources.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// file is one file of dist, ready to be sent.
type file struct {
	contentType string
	etag        string
	plain       []byte
	// gzipped is nil when compression does not make the file smaller.
	gzipped []byte
}

// load reads dist once; the files are part of the program, so an error is ours.
var load = sync.OnceValues(func() (map[string]file, error) {
	files := map[string]file{}
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := dist.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading embedded %q: %w", name, err)
		}
		files[strings.TrimPrefix(name, "dist")] = newFile(name, content)
		return nil
	})
	return files, err
})

func newFile(name string, content []byte) file {
	sum := sha256.Sum256(content)
	f := file{contentType: contentType(name), etag: `"` + hex.EncodeToString(sum[:12]) + `"`, plain: content}
	var buf bytes.Buffer
	// A buffer takes every write, and the level is a valid one.
	w, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	_, _ = w.Write(content)
	_ = w.Close()
	if buf.Len() < len(content) {
		f.gzipped = buf.Bytes()
	}
	return f
}

// contentType does not ask the system's MIME tables, which differ by machine.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// Handler serves the page at /, /search and /trace/{id}, its assets below
// /assets/, the licences of the packages in the bundle at /LICENCES.txt, and
// 404 for every other path. Only GET and HEAD are allowed.
func Handler() http.Handler {
	return http.HandlerFunc(serve)
}

func serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")

	files, err := load()
	if err != nil {
		http.Error(w, "the embedded UI is unreadable", http.StatusInternalServerError)
		return
	}
	name, ok := resolve(r.URL.Path)
	f, found := files[name]
	if !ok || !found {
		header.Set("Cache-Control", "no-cache")
		http.Error(w, "404: no such page. The trace list is at /.", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "405: only GET and HEAD are allowed here.", http.StatusMethodNotAllowed)
		return
	}
	send(w, r, name, f)
}

// resolve gives the file of dist for a path of the UI.
func resolve(p string) (name string, ok bool) {
	switch {
	case p == "/" || p == "/search":
		return "/index.html", true
	case strings.HasPrefix(p, "/trace/"):
		id := strings.TrimSuffix(strings.TrimPrefix(p, "/trace/"), "/")
		return "/index.html", id != "" && !strings.Contains(id, "/")
	case strings.HasPrefix(p, "/assets/") || p == "/LICENCES.txt":
		return p, true
	}
	return "", false
}

func send(w http.ResponseWriter, r *http.Request, name string, f file) {
	header := w.Header()
	if strings.HasPrefix(name, "/assets/") {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "no-cache")
	}
	header.Set("Content-Type", f.contentType)
	header.Set("Vary", "Accept-Encoding")
	content, etag := f.plain, f.etag
	if f.gzipped != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		// Another encoding is another representation, with a tag of its own.
		content, etag = f.gzipped, strings.TrimSuffix(f.etag, `"`)+`-gzip"`
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("ETag", etag)
	if matches(r.Header.Get("If-None-Match"), f.etag) {
		header.Del("Content-Encoding")
		header.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(content)
	}
}

// acceptsGzip reads an Accept-Encoding header (RFC 9110, 12.5.3).
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil || (coding != "gzip" && coding != "*") {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		return err != nil || q > 0
	}
	return false
}

// matches tells whether an If-None-Match header names the tag, in whichever encoding.
func matches(header, etag string) bool {
	opaque := strings.Trim(etag, `"`)
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || strings.TrimSuffix(strings.Trim(tag, `"`), "-gzip") == opaque {
			return true
		}
	}
	return false
}
