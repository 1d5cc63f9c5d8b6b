package store

import "testing"

// SetUnitBlocks makes units of scans so small that a test has several.
func SetUnitBlocks(t *testing.T, n int) {
	old := unitBlocks
	unitBlocks = n
	t.Cleanup(func() { unitBlocks = old })
}
