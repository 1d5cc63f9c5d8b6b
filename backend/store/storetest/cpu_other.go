//go:build !unix

package storetest

import "testing"

// ReportCPU reports nothing where processor time is not known.
func ReportCPU(*testing.B) func() { return func() {} }
