// Package linearizability holds tests only: histories of Load and Swap, by many
// clients at once, over each store, while replies get lost. Each history is
// checked with porcupine: there must be an order of the calls, in keeping with
// when each began and ended, in which every answer is what a single record that
// changes by compare-and-swap would have given.
//
//	go test ./integration/linearizability                          # a few histories
//	MINTONCE_ROUNDS=200 go test -timeout 0 -v ./integration/linearizability
//
// A history that is not linearizable is written to a page that shows it; its
// path is printed.
package linearizability
