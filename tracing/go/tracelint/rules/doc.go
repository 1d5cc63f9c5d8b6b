// Package rules holds the analyzers of tracelint: the mistakes people make
// when they write OpenTelemetry spans by hand.
//
// Each analyzer is one rule. A rule reports what breaks a trace (a context
// that is thrown away, a request sent without one, a span that hides an
// error) and keeps silent where it cannot know: a span handed to another
// function, a context that is only read for its values, a goroutine that is
// waited for. Functions that start spans or set their status are recognised by
// their types and, across packages, by facts; no configuration is needed.
//
// The rules say nothing about spans that are never ended (spancheck does) nor
// about context.Background called where a context is at hand (contextcheck
// does). They read no generated files and no tests.
package rules

import "golang.org/x/tools/go/analysis"

const home = "https://github.com/throughline/throughline/tree/main/tracing/go/tracelint#"

// All returns every analyzer: the rules and Ignore, which checks the comments
// that silence them.
func All() []*analysis.Analyzer {
	return []*analysis.Analyzer{
		LostContext,
		ParentContext,
		RequestContext,
		ClientTransport,
		EndedSpan,
		ErrorStatus,
		SpanName,
		TracerName,
		UntracedService,
		Ignore,
	}
}

// ruleNames are the names that a //tracelint:ignore comment may hold.
var ruleNames = map[string]bool{
	"lostcontext":     true,
	"parentcontext":   true,
	"requestcontext":  true,
	"clienttransport": true,
	"endedspan":       true,
	"errorstatus":     true,
	"spanname":        true,
	"tracername":      true,
	"untracedservice": true,
}
