// Package bench holds the tests and benchmarks of the tracing package that need other people's modules: Go kit,
// gorilla/mux, gRPC, and otelhttp as the peer to compare with. It is a module of its own so that none of them is in
// the go.sum of a service that imports the tracing package. It exports nothing.
package bench
