package bench

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gorilla/mux"

	tracing "github.com/throughline/throughline/tracing/go"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// template is what the documentation of RouteFunc shows.
func template(r *http.Request) string {
	t, _ := mux.CurrentRoute(r).GetPathTemplate()
	return t
}

// TestGorilla: routes of gorilla/mux, nested, and none for what it does not match.
func TestGorilla(t *testing.T) {
	r := tracingtest.Install(t)
	router := mux.NewRouter()
	router.Use(tracing.RouteFunc(template))
	ok := func(http.ResponseWriter, *http.Request) {}
	router.HandleFunc("/items/{id:[0-9]+}", ok).Methods("GET")
	router.PathPrefix("/sub").Subrouter().HandleFunc("/{name}", ok)
	h := tracing.Middleware(router)
	for path, want := range map[string]string{
		"/items/7":   "GET /items/{id:[0-9]+}",
		"/sub/alice": "GET /sub/{name}",
		"/items/x":   "GET",
	} {
		r.Reset()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		if got := r.Spans()[0].Name; got != want {
			t.Errorf("%s: span %q, want %q", path, got, want)
		}
	}
}
