// Package foreign wraps interfaces and a struct of other packages.
package foreign

//go:generate go tool tracegen -iface github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/store.Store,database/sql/driver.QueryerContext -struct net.Resolver=Resolver -out trace_gen.go
