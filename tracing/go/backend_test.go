package tracing

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestBackendURLContract runs the cases the Go and the Python package share.
func TestBackendURLContract(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "contracts", "backend-urls.json"))
	if err != nil {
		t.Fatal(err)
	}
	type want struct {
		Protocol string `json:"protocol"`
		Endpoint string `json:"endpoint"`
		Insecure bool   `json:"insecure"`
	}
	var cases []struct {
		Value    string `json:"value"`
		Protocol string `json:"protocol"`
		Want     *want  `json:"want"`
		Error    string `json:"error"`
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 30 {
		t.Fatalf("%d cases, want the whole file", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Value+"|"+c.Protocol, func(t *testing.T) {
			got, err := parseBackends(c.Value, c.Protocol)
			switch {
			case c.Error != "":
				if err == nil || !strings.Contains(err.Error(), c.Error) {
					t.Fatalf("error %v, want one that says %q", err, c.Error)
				}
				if strings.Contains(err.Error(), "secret") {
					t.Fatalf("error shows the password: %v", err)
				}
			case err != nil:
				t.Fatal(err)
			case c.Want == nil:
				if len(got) != 0 {
					t.Fatalf("got %v, want unset", got)
				}
			default:
				if len(got) != 1 {
					t.Fatalf("%d backends, want 1", len(got))
				}
				g := want{Protocol: got[0].protocol, Endpoint: got[0].endpoint, Insecure: got[0].insecure}
				if diff := cmp.Diff(*c.Want, g); diff != "" {
					t.Fatalf("-want +got\n%s", diff)
				}
			}
		})
	}
}

// TestBackendListContract: several backends, headers of their own, and no message that shows a header's value.
func TestBackendListContract(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "contracts", "backend-lists.json"))
	if err != nil {
		t.Fatal(err)
	}
	type want struct {
		Protocol string            `json:"protocol"`
		Endpoint string            `json:"endpoint"`
		Insecure bool              `json:"insecure"`
		Headers  map[string]string `json:"headers"`
	}
	var cases []struct {
		Value string `json:"value"`
		Want  []want `json:"want"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Value, func(t *testing.T) {
			backends, err := parseBackends(c.Value, "")
			if c.Error != "" {
				if err == nil || !strings.Contains(err.Error(), c.Error) {
					t.Fatalf("error %v, want one that says %q", err, c.Error)
				}
				if strings.Contains(err.Error(), "s3cret") {
					t.Fatalf("error shows a secret: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := []want{}
			for _, b := range backends {
				got = append(got, want{b.protocol, b.endpoint, b.insecure, b.headers})
			}
			if diff := cmp.Diff(c.Want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("-want +got\n%s", diff)
			}
		})
	}
}

// TestBackendListErrors: every fault is named, and no secret is.
func TestBackendListErrors(t *testing.T) {
	_, err := parseBackends("localhost:0,ftp://x,good:4317;=s3cret,good:4317;bearer=%zzs3cret,u:s3cret@h:1", "")
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{`"localhost:0"`, `"ftp://x"`, "name=value", `header "bearer"`, "credentials"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error does not say %q: %v", part, err)
		}
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error shows a secret: %v", err)
	}
}

// FuzzParseBackends: any value is read without a panic, to endpoints that are URLs again, or refused without showing a
// header's value.
func FuzzParseBackends(f *testing.F) {
	for _, s := range []string{
		"", "localhost:4317", "https://otlp.example.com/otlp;bearer=s3cret;x-team=core,tempo", "[::1]:4317",
		"ftp://x", "http://u:p@h", "a;b", "h:1;x=%zz", "http://h:4318/v1/traces?x",
	} {
		f.Add(s, "")
		f.Add(s, "http/protobuf")
	}
	f.Fuzz(func(t *testing.T, value, protocol string) {
		backends, err := parseBackends(value, protocol)
		if err != nil && len(backends) > 0 {
			t.Fatalf("both %v and %v", backends, err)
		}
		for _, b := range backends {
			u, err := url.Parse(b.url())
			if err != nil || u.Host == "" || u.User != nil || (u.Scheme == "http") != b.insecure {
				t.Fatalf("%q gives %q: %v", value, b.url(), err)
			}
			for name, header := range b.headers {
				if !validHeaderName(name) || strings.ContainsAny(header, "\r\n\x00") {
					t.Fatalf("%q gives header %q: %q", value, name, header)
				}
			}
		}
	})
}
