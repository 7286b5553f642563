// Command mutation shows that each guard of the mint protocol carries weight.
//
// A guard that can be taken away without a test noticing is either not needed
// or not tested. So each is taken away, one at a time, in the code that ships:
// guards.go has a table of guards, and rotating.go one of those that rotating
// refresh tokens need, each with the text of its code and what the mutant has in
// its place. The text must occur exactly once, so that whoever moves a guard is
// told to move its mutation too (TestEveryMutationApplies).
//
// The mutated file goes to the compiler by way of go test -overlay: nothing in
// the tree is changed, and the code that ships has no hooks. What must then
// fail are the catchers (catcher.go): the exploration of every schedule, the
// simulation, or a test by its name, which takes one path to where the guard
// matters. A mutant that does not compile, or that a catcher lets pass, is an
// error. Without mutations, all catchers must pass, a simulation with as many
// seeds as its slowest mutant took.
//
//	go run ./integration/mutation                     # all, a table on stdout
//	go run ./integration/mutation -out docs/guards.md # make guards
//	go run ./integration/mutation -only fork          # some
//	go run ./integration/mutation -short              # a few, in a minute
package main
