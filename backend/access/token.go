package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// MinToken is the least length of a token, which is guessed otherwise.
const MinToken = 16

// ErrNoToken says that a file of tokens has none.
var ErrNoToken = errors.New("no token in it")

// Tokens are the bearer tokens that a port takes. A nil *Tokens asks for none.
type Tokens struct {
	digests atomic.Pointer[[][sha256.Size]byte]
	files   *files // nil when the token does not come from a file
}

// NewTokens takes one token.
func NewTokens(token string) (*Tokens, error) {
	t := &Tokens{}
	return t, t.set([]string{token})
}

// ReadTokens takes the tokens of a file, one a line; a line that is empty or
// begins with # is none. Several let a new token be in use beside the old one.
func ReadTokens(file string, log *slog.Logger) (*Tokens, error) {
	t := &Tokens{}
	var err error
	if t.files, err = newFiles(log, t.load, file); err != nil {
		return nil, fmt.Errorf("reading tokens: %w", err)
	}
	return t, nil
}

func (t *Tokens) load(contents [][]byte) error {
	var tokens []string
	for line := range strings.Lines(string(contents[0])) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			tokens = append(tokens, line)
		}
	}
	if len(tokens) == 0 {
		return fmt.Errorf("%q: %w", t.fileName(), ErrNoToken)
	}
	return t.set(tokens)
}

func (t *Tokens) fileName() string {
	if t.files == nil {
		return ""
	}
	return t.files.names[0]
}

func (t *Tokens) set(tokens []string) error {
	digests := make([][sha256.Size]byte, len(tokens))
	for i, token := range tokens {
		if len(token) < MinToken {
			return fmt.Errorf("token of %d characters: want %d at least", len(token), MinToken)
		}
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return errors.New("token with a character that a header cannot have")
		}
		digests[i] = sha256.Sum256([]byte(token))
	}
	t.digests.Store(&digests)
	return nil
}

func (t *Tokens) current() [][sha256.Size]byte {
	if t.files != nil {
		t.files.refresh(t.load)
	}
	return *t.digests.Load()
}

// find returns the digest that fits, comparing with all of them.
func (t *Tokens) find(fits func(digest []byte) bool) (found []byte) {
	for _, d := range t.current() {
		if fits(d[:]) {
			found = d[:]
		}
	}
	return found
}

func (t *Tokens) digestOf(token string) []byte {
	got := sha256.Sum256([]byte(token))
	return t.find(func(d []byte) bool { return subtle.ConstantTimeCompare(d, got[:]) == 1 })
}

// Allow says whether the token is one of those taken.
func (t *Tokens) Allow(token string) bool { return t == nil || t.digestOf(token) != nil }

// AllowHeader is Allow for an Authorization header, "Bearer TOKEN".
func (t *Tokens) AllowHeader(header string) bool {
	if t == nil {
		return true
	}
	scheme, token, _ := strings.Cut(header, " ")
	return strings.EqualFold(scheme, "Bearer") && t.Allow(strings.TrimSpace(token))
}

// Session makes what stands for the token in a browser until expires: signed
// with the token, which it does not tell, and void when the token is. It is false
// for a token that is not taken.
func (t *Tokens) Session(token string, expires time.Time) (string, bool) {
	digest := t.digestOf(token)
	if digest == nil {
		return "", false
	}
	until := strconv.FormatInt(expires.Unix(), 10)
	return until + "." + sign(digest, until), true
}

// AllowSession says whether Session has made this and it has not expired.
func (t *Tokens) AllowSession(session string, now time.Time) bool {
	if t == nil {
		return true
	}
	until, signature, ok := strings.Cut(session, ".")
	expires, err := strconv.ParseInt(until, 10, 64)
	if !ok || err != nil || now.Unix() >= expires {
		return false
	}
	return t.find(func(d []byte) bool {
		return subtle.ConstantTimeCompare([]byte(sign(d, until)), []byte(signature)) == 1
	}) != nil
}

func sign(digest []byte, until string) string {
	mac := hmac.New(sha256.New, digest)
	mac.Write([]byte("throughline session until " + until))
	return hex.EncodeToString(mac.Sum(nil))
}
