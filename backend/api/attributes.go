package api

import (
	"net/http"

	"github.com/throughline/throughline/backend/api/reply"
)

func (s *server) attributes(w http.ResponseWriter, r *http.Request) error {
	return reply.Unsupported("not yet")
}

func (s *server) attributeValues(w http.ResponseWriter, r *http.Request) error {
	return reply.Unsupported("not yet")
}
