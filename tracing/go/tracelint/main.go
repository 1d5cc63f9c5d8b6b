// Command tracelint reports mistakes in OpenTelemetry spans written by hand.
//
//	tracelint ./...                                    run every rule
//	tracelint -spanname=false ./...                    every rule but one
//	tracelint -errorstatus -lostcontext ./...          these alone
//	tracelint -json ./...                              findings as JSON
//	tracelint -fix ./...                               apply the suggested fixes
//	tracelint -fix -diff ./...                         show them as a diff
//	tracelint help [rule]                              the rules, or one of them
//	go vet -vettool=$(which tracelint) ./...           the same, as a vet tool
//
// Given packages, it runs go vet with itself as the tool, so that flags, output,
// caching and exit codes are those of go vet: 0 if nothing was found, 1 if
// something was found or could not be analysed. With -json and -fix findings do
// not make it fail. It needs the go command, and reads no tests and no generated
// files.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/throughline/throughline/tracing/go/tracelint/rules"
	"golang.org/x/tools/go/analysis/unitchecker"
)

func main() {
	args := os.Args[1:]
	if asTool(args) {
		unitchecker.Main(rules.All()...)
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintf(os.Stderr, "tracelint: finding the program itself: %v\n", err)
		os.Exit(2)
	}
	os.Exit(vet(self, args, os.Stdin, os.Stdout, os.Stderr))
}

// asTool reports whether the arguments are those that go vet gives its tool, or
// ask for help.
func asTool(args []string) bool {
	if len(args) == 0 {
		return false
	}
	if args[0] == "help" || args[0] == "-V=full" || args[0] == "-flags" {
		return true
	}
	return strings.HasSuffix(args[len(args)-1], ".cfg")
}

// vet runs go vet with the program self as its tool and returns its exit code.
func vet(self string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := exec.Command("go", append([]string{"vet", "-vettool=" + self}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	fmt.Fprintf(stderr, "tracelint: running go vet: %v\n", err)
	return 2
}
