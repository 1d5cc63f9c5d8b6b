package api_test

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/throughline/throughline/backend/api"
)

func description(t *testing.T, text []byte) (*openapi3.T, routers.Router) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return doc, router
}

// The description has the endpoints that there are, and only these.
func TestOpenAPIRoutes(t *testing.T) {
	f := serve(t)
	status, text := f.get(t, "/api/native/v1/openapi.json")
	if status != http.StatusOK {
		t.Fatal(status)
	}
	doc, _ := description(t, []byte(text))
	got, want := doc.Paths.InMatchingOrder(), api.NativePaths()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("described: %v\nserved: %v", got, want)
	}
}

// Each example of api.md, and each kind of error, is what the description says;
// each parameter that it names is taken, and no other.
func TestOpenAPIExamples(t *testing.T) {
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, router := description(t, text)
	manual, err := os.ReadFile("api.md")
	if err != nil {
		t.Fatal(err)
	}
	f := serve(t, "testdata/example.json")
	paths := []string{
		"/api/native/v1/traces?limit=0", "/api/native/v1/traces/abc", "/api/native/v1/search?q=%7B",
		"/api/native/v1/metrics?q=%7B%7D", "/api/native/v1/attributes/values?attribute=",
		"/api/native/v1/traces?status=error&limit=1", "/api/native/v1/openapi.json",
	}
	seen := map[string]bool{}
	for _, e := range example.FindAllStringSubmatch(string(manual), -1) {
		if e[2] == "json" {
			paths = append(paths, strings.TrimPrefix(e[1], "GET "))
		}
	}
	for _, path := range paths {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body := readAll(t, resp)
		request.URL.Scheme, request.URL.Host, request.Host = "", "", ""
		route, params, err := router.FindRoute(request)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		seen[route.Path] = true
		in := &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route}
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil && resp.StatusCode == http.StatusOK {
			t.Errorf("%s is answered with %d; by the description: %v", path, resp.StatusCode, err)
		}
		if err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Body: io.NopCloser(strings.NewReader(body)),
		}); err != nil {
			t.Errorf("%s: %v\n%s", path, err, body)
		}
	}
	for path, item := range doc.Paths.Map() {
		if path == "/api/native/v1/stream" {
			continue // its example is a stream
		}
		if !seen[path] {
			t.Errorf("%s has no example", path)
		}
		if path == "/api/native/v1/export" {
			continue // what it finds is no JSON document
		}
		for _, p := range item.Get.Parameters {
			if p.Value.In != openapi3.ParameterInQuery {
				continue
			}
			// A parameter that is not known is an error that says so.
			_, body := f.get(t, path+"?"+p.Value.Name+"=%7B&nobody=1")
			_, other := f.get(t, path+"?"+p.Value.Name+"=%7B")
			if !strings.Contains(body, `\"nobody\"`) && !strings.Contains(body, p.Value.Name) || strings.Contains(other, "is unknown") {
				t.Errorf("%s, parameter %s: %s", path, p.Value.Name, other)
			}
		}
	}
}
