// Package deploy holds the tests of what the project ships to run it elsewhere:
// the compose files, the images, and the configurations of Jaeger, the Grafana
// stack and the Collector. Each file is parsed by the parser of the program that
// reads it, where that can be had as a Go module; the images' build steps are
// run without an engine; and a Collector that is built here from its modules
// runs with the shipped configuration between the services and their backends.
//
// It does not start containers, and what only an engine can tell (whether an
// image can be pulled, how networks behave) it does not know.
//
// The modules that this takes are many, so it is a module of its own, outside
// the workspace.
package deploy
