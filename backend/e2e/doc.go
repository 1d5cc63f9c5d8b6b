// Package e2e holds the tests of the whole system: the real programs, started
// as a user starts them, and what their traces look like in the backend. They
// run with the build tag e2e, after `make` has set up what they need.
package e2e
