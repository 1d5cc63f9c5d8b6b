package rules_test

import (
	"fmt"

	"github.com/throughline/throughline/tracing/go/tracelint/rules"
)

// The analyzers fit any driver of go/analysis, such as
// multichecker.Main(rules.All()...).
func ExampleAll() {
	for _, rule := range rules.All() {
		fmt.Println(rule.Name)
	}
	// Output:
	// lostcontext
	// parentcontext
	// requestcontext
	// clienttransport
	// endedspan
	// errorstatus
	// spanname
	// tracername
	// untracedservice
	// ignore
}
