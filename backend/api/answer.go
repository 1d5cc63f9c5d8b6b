package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/throughline/throughline/backend/api/reply"
)

// writeTagged answers with a value and its entity tag, or that the client has it.
func writeTagged(w http.ResponseWriter, r *http.Request, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	sum := sha256.Sum256(body)
	if has(w, r, base64.RawURLEncoding.EncodeToString(sum[:16])) {
		return nil
	}
	reply.Body(w, http.StatusOK, body)
	return nil
}

// has sets the entity tag of an answer and, when the client has that answer,
// tells it so. The tag is weak, because the answer may be compressed.
func has(w http.ResponseWriter, r *http.Request, tag string) bool {
	tag = `W/"` + tag + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, no-cache") // to be asked for each time
	for _, list := range r.Header.Values("If-None-Match") {
		for one := range strings.SplitSeq(list, ",") {
			if one = strings.TrimSpace(one); one == tag || one == "*" || "W/"+one == tag {
				w.WriteHeader(http.StatusNotModified)
				return true
			}
		}
	}
	return false
}
