package articles

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The table in docs/operating-services.md is that of the settings.
func TestSettingsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../../docs/operating-services.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "\n## articles\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var want []string
	for _, s := range (&Config{}).settings() {
		value := " "
		if s.value != "" {
			value = fmt.Sprintf(" `%s` ", s.value)
		}
		want = append(want, fmt.Sprintf("| `--%s` | `%s` |%s| %s |", s.flag, s.env, value, s.usage))
	}
	got := regexp.MustCompile("(?m)^\\| `--.*$").FindAllString(section, -1)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the document has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
