package api

import "net/http"

func (s *server) jaegerRoutes(mux *http.ServeMux) {}
