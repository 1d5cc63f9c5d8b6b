//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// readmeCommands are the lines of the README's sh blocks, without comments.
func readmeCommands(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(checkout, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, block := range regexp.MustCompile("(?ms)^ *```sh\n(.*?)^ *```").FindAllStringSubmatch(string(b), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, "  #")
			if line = strings.TrimSpace(line); line != "" {
				commands = append(commands, line)
			}
		}
	}
	return commands
}

// The README's curl lines are run against the system that its make up runs, at
// other ports; what else it tells to type has to exist.
func TestReadmeCommands(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(checkout, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	u := up(t)
	ports := regexp.MustCompile(`\blocalhost:(\d+)`)
	curls, own := 0, 0
	dir := t.TempDir()
	for _, line := range readmeCommands(t) {
		words := strings.Fields(line)
		for len(words) > 1 && strings.Contains(words[0], "=") {
			words = words[1:] // NAME=value before a command
		}
		switch command := words[0]; {
		case command == "make":
			if !strings.Contains(string(makefile), "\n"+words[1]+":") {
				t.Errorf("%q: no such target", line)
			}
		case strings.HasPrefix(command, "scripts/"):
			if info, err := os.Stat(filepath.Join(checkout, command)); err != nil || info.Mode()&0o111 == 0 {
				t.Errorf("%q: no such script", line)
			}
		case command == "docker":
			// No engine is at hand: the files are there, and tools/deploy holds what is in them.
			for i, word := range words {
				if word == "-f" {
					if _, err := os.Stat(filepath.Join(checkout, words[i+1])); err != nil {
						t.Errorf("%q: %v", line, err)
					}
				}
			}
		case command == "bin/throughline" && words[1] == "up":
			// Runs until it is stopped; its flags have to exist.
			if out, err := exec.Command(throughline, words[1], "--help").CombinedOutput(); err != nil || !strings.Contains(string(out), words[2]+" ") {
				t.Errorf("%q: %v: %s", line, err, out)
			}
		case command == "curl":
			curls++
			moved := ports.ReplaceAllStringFunc(line, func(s string) string {
				port, _ := strconv.Atoi(strings.TrimPrefix(s, "localhost:"))
				return "localhost:" + strconv.Itoa(port+u.offset)
			})
			out, err := exec.Command("bash", "-c", moved+" --silent --show-error --write-out '\n%{http_code}'").CombinedOutput()
			if err != nil {
				t.Errorf("%q: %v: %s", moved, err, out)
				continue
			}
			status := string(out[strings.LastIndexByte(string(out), '\n')+1:])
			want := "200"
			switch {
			case strings.HasSuffix(line, "/nope"):
				want = "404"
			case strings.Contains(line, "=maybe"):
				want = "400"
			}
			if status != want {
				t.Errorf("%q: status %s, want %s: %s", moved, status, want, out)
			}
		case command == "bin/throughline":
			own++
			cmd := exec.Command("bash", "-c", throughline+strings.TrimPrefix(line, command))
			cmd.Dir = dir
			cmd.Env = append(os.Environ(),
				"THROUGHLINE_URL=http://localhost:"+strconv.Itoa(16686+u.offset), "THROUGHLINE_ARTICLES_URL=http://localhost:"+strconv.Itoa(8001+u.offset))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%q: %v: %s", line, err, out)
			}
		default:
			t.Errorf("%q: this test does not know how to check it", line)
		}
	}
	if curls < 5 || own < 5 {
		t.Errorf("only %d curl lines and %d of the program found in the README", curls, own)
	}
	if got := u.traces(t, map[string][]string{"service": {"my-service"}}); len(got) != 1 {
		t.Errorf("the README's own span is not there: %+v", got)
	}
}
