package articles_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/throughline/throughline/apps/articles/articles"
)

func TestLoad(t *testing.T) {
	id1, id2 := strings.Repeat("a", 32), strings.Repeat("b", 32)
	good := func(id string) string { return `{"id":"` + id + `","author":"A","title":"T","text":""}` }
	for name, c := range map[string]struct {
		data string
		want []string // parts of the error
	}{
		"good":              {"[" + good(id1) + "," + good(id2) + "]\n", nil},
		"empty list":        {"[]", nil},
		"byte order mark":   {"\uFEFF[" + good(id1) + "]", nil},
		"two marks":         {"\uFEFF\uFEFF[]", []string{"invalid character"}},
		"unknown field":     {`[{"id":"` + id1 + `","author":"A","title":"T","text":"","more":1}]`, nil},
		"empty file":        {"", []string{"ends too early"}},
		"object":            {"{}", []string{"not a JSON array"}},
		"null":              {"null", []string{"not a JSON array"}},
		"cut in an entry":   {"[" + good(id1) + `,{"id":"`, []string{"entry 2", "ends too early"}},
		"cut after one":     {"[" + good(id1), []string{"ends too early"}},
		"trailing data":     {"[] []", []string{"behind the array"}},
		"syntax":            {"[" + good(id1) + ",{x}]", []string{"entry 2", "invalid character"}},
		"wrong type":        {`[{"id":7}]`, []string{"entry 1", "id"}},
		"entry is null":     {"[null]", []string{"entry 1", `"id" is missing`}},
		"duplicate id":      {"[" + good(id1) + "," + good(id2) + "," + good(id1) + "]", []string{"entry 3", id1, "entry 1"}},
		"bad id":            {"[" + good("nope") + "," + good(strings.Repeat("A", 32)) + "]", []string{"entry 1", `"nope"`, "entry 2"}},
		"missing title":     {`[{"id":"` + id1 + `","author":"A","text":""}]`, []string{"entry 1", id1, `"title" is missing`}},
		"null text":         {`[{"id":"` + id1 + `","author":"A","title":"T","text":null}]`, []string{`"text" is missing`}},
		"more than we show": {"[" + strings.Repeat(good("x")+",", 20) + good("x") + "]", []string{"entry 10", "not shown"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "articles.json")
			if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
				t.Fatal(err)
			}
			list, err := articles.Load(path)
			if c.want == nil {
				if err != nil || list == nil {
					t.Fatalf("%v, %v", list, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("no error, %d articles", len(list))
			}
			for _, part := range append(c.want, path) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
}
