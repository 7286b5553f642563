//go:build !race

package integration_test

// raceDetector: the command is then built with it, too.
const raceDetector = false
