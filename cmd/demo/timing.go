package main

import "time"

// timing is how long things take in the demo. What WeChat decides is scaled
// down; what the network and the machine decide is not.
type timing struct {
	life    time.Duration // of a token; at WeChat 2 h
	overlap time.Duration // for which the token before lives on; at WeChat 5 min
	latency time.Duration // of a mint, from request to answer
}

// timingFor fits the schedule of one side into length.
func timingFor(length time.Duration) timing {
	life := (length * 10 / (endAt * 10)).Truncate(time.Second) // expires_in has whole seconds
	return timing{
		life: life,
		// Scaled like the life, it would be shorter than a mint takes. A
		// longer one is kind to both sides.
		overlap: life / 4,
		latency: 300 * time.Millisecond,
	}
}

// at turns a mark into a time since the start.
func (t timing) at(mark float64) time.Duration { return time.Duration(mark * float64(t.life)) }

const (
	// callTimeout bounds one API call, with all that an SDK does for it.
	callTimeout = 5 * time.Second
	// rotateTimeout bounds an operator's rotation.
	rotateTimeout = 5 * time.Second
	// restartAfter is when a killed replica is started again, as a supervisor
	// would.
	restartAfter = time.Second
	// startTimeout bounds the start of all replicas.
	startTimeout = 20 * time.Second
	// stopTimeout bounds the end of all replicas; then they are killed.
	stopTimeout = callTimeout + 3*time.Second
)
