package api

import (
	_ "embed"
	"net/http"

	"github.com/throughline/throughline/backend/api/reply"
)

// openAPI describes the native API. Tests hold the answers against it, and it
// against the routes.
//
//go:embed openapi.json
var openAPI []byte

func (s *server) describe(w http.ResponseWriter, r *http.Request) error {
	if err := only(r.URL.Query()); err != nil {
		return err
	}
	reply.Body(w, http.StatusOK, openAPI)
	return nil
}
