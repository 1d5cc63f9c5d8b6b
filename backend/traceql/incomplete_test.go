package traceql

import "testing"

func TestParseIncomplete(t *testing.T) {
	for text, want := range map[string]string{
		``:   `{ }`,
		`{`:  `{ }`,
		`{}`: `{ }`,
		`a`:  `{ }`,
		`{ resource.service.name="a" && span.http`:         `{ resource.service.name = "a" }`,
		`{ resource.service.name="a" && span.http }`:       `{ resource.service.name = "a" }`,
		`{ resource.service.name="a" && span.http = }`:     `{ resource.service.name = "a" }`,
		`{ resource.service.name="a" && span.http = "`:     `{ resource.service.name = "a" }`,
		`{ resource.service.name="a" && `:                  `{ resource.service.name = "a" }`,
		`{ resource.service.name="a" && } `:                `{ resource.service.name = "a" }`,
		`{ resource.service.name="a" `:                     `{ resource.service.name = "a" }`,
		`{ span.http = && resource.service.name="a" }`:     `{ resource.service.name = "a" }`,
		`{ && resource.service.name="a" }`:                 `{ resource.service.name = "a" }`,
		`{ name = && .a = 1 && .b =~ "(" && .c = 2 }`:      `{ .a = 1 && .c = 2 }`,
		`{ (.a = 1 || .b = 2) && .c = }`:                   `{ .a = 1 || .b = 2 }`,
		`{ (.a = 1 || .b = ) && .c = 3 }`:                  `{ .c = 3 }`,
		`{ .a = 1 || .b = }`:                               `{ }`,
		`{ .a = 1 && .b = 2 || .c = }`:                     `{ }`,
		`{ .a = 1 } && { .b = 2 }`:                         `{ }`,
		`{ .a = 1 } >> {`:                                  `{ }`,
		`{ .a = 1 } | rate()`:                              `{ .a = 1 }`,
		`{ .a = 1 } | rate() by (`:                         `{ .a = 1 }`,
		`{ duration > 1s && status = error && kind = }`:    `{ duration > 1s && status = error }`,
		`{ .a + 1 = 2 && .b }`:                             `{ .a + 1 = 2 }`,
		`{ .a = 1 .b = 2 }`:                                `{ }`,
		`{ name = 1 && .b = 2 }`:                           `{ .b = 2 }`,
		`{ !.a && .b = 2 }`:                                `{ .b = 2 }`,
		"{ .a = 1 \xff":                                    `{ .a = 1 }`,
		`{ ((((.a = 1 && .b = 2`:                           `{ }`,
		`{ true && resource.service.name="a" && span.x="b`: `{ resource.service.name = "a" }`,
	} {
		q := ParseIncomplete(text)
		if got := q.String(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
		if _, err := Parse(q.String()); err != nil {
			t.Errorf("%s: %s: %v", text, q, err)
		}
	}
}

func FuzzParseIncomplete(f *testing.F) {
	f.Add(`{ resource.service.name="a" && (span.http = 1 || .b) && .c`)
	f.Fuzz(func(t *testing.T, text string) {
		q := ParseIncomplete(text)
		if s := q.String(); len(s) <= maxLength {
			if _, err := Parse(s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	})
}
