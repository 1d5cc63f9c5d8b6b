// Package trace has the name of OpenTelemetry's.
package trace

// ID is an identifier.
type ID string

// Valid reports whether id is valid.
func Valid(id ID) bool { return id != "" }
