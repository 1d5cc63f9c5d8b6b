// Package traceql is the query language of the backend: Grafana Tempo's TraceQL,
// its parser, its types, and its evaluation over traces in memory.
//
// [Parse] makes a [Query] of text, or a [*SyntaxError] that names the column and
// what was expected there. The tree is exported so that a store can push parts of
// it down; its String is canonical, and parsing it again gives an equal tree.
// [Compile] prepares a query to run: every attribute is resolved once, and spans
// are then judged without allocation. A [Program] reads traces through the
// interface [Trace], which a span.Trace (by [View]) and a columnar view satisfy
// alike. [Query.Conditions] says what any matching span must fulfil, so that a
// store need not look at the others.
//
// Semantics are those of Tempo 3; SYNTAX.md lists every construct, what was chosen
// where Tempo's documentation is silent, and where this package differs.
//
// Any text may be given to Parse: its length, depth and number of nodes are
// bounded. Regular expressions are RE2's, whose time is linear in the input.
// The package does not read a store, does not know of limits on time or memory,
// and starts no goroutines.
package traceql
