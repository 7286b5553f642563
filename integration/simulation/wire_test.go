package simulation_test

import (
	"context"
	"errors"
	"sync"
	"time"
)

// wire is the way from one process to the store or to the provider.
type wire struct {
	process *process
	dice    *dice
	far     time.Duration // the longest way of a sound wire, one way

	mu    sync.Mutex
	state wireState
	until time.Time // the end of the state
}

type wireState string

const (
	sound wireState = "sound"
	lossy wireState = "lossy" // loses a request or an answer now and then
	tardy wireState = "tardy" // delays by seconds
	cut   wireState = "cut"
	curt  wireState = "curt" // breaks before an answer now and then; requests arrive
)

var errReset = errors.New("connection reset")

func (w *wire) set(s wireState, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state, w.until = s, until
}

func (w *wire) now() wireState {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !time.Now().Before(w.until) {
		w.state = sound
	}
	return w.state
}

// fate of one message: how long it takes, whether it is lost, and whether the
// process learns that at once.
func (w *wire) fate(answer bool) (delay time.Duration, lost, told bool) {
	delay = w.dice.between(w.far/10, w.far)
	switch w.now() {
	case lossy:
		lost = w.dice.chance(0.3)
	case tardy:
		if w.dice.chance(0.5) {
			delay = w.dice.between(w.far, 5*time.Second)
		}
	case cut:
		lost = true
	case curt:
		lost = answer && w.dice.chance(0.2)
		return delay, lost, lost
	}
	return delay, lost, lost && w.dice.chance(0.5)
}

// call sends a request, which serve carries out when it arrives, even if the
// sender does not wait for it any more. serve returns how long its answer takes
// beyond the wire. The error is that of serve, or says that the answer did not
// come: then what serve has noted must not be used.
func (w *wire) call(ctx context.Context, serve func() (time.Duration, error)) error {
	there, lost, told := w.fate(false)
	back, lostBack, toldBack := w.fate(true)
	if lost {
		return w.silence(ctx, there, told)
	}
	sent := time.Now()
	if err := w.pass(ctx, there); err != nil {
		time.AfterFunc(there-time.Since(sent), func() { serve() })
		return err
	}
	more, err := serve()
	if lostBack {
		return w.silence(ctx, back+more, toldBack)
	}
	if gone := w.pass(ctx, back+more); gone != nil {
		return gone
	}
	return err
}

// pass waits for a message, as long as its receiver lives and wants it.
func (w *wire) pass(ctx context.Context, takes time.Duration) error {
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.process.dead:
		return errDead
	}
}

// silence is what the sender of a lost message gets.
func (w *wire) silence(ctx context.Context, takes time.Duration, told bool) error {
	if !told {
		takes = never
	}
	if err := w.pass(ctx, takes); err != nil {
		return err
	}
	return errReset
}

// never is longer than anybody waits.
const never = 24 * time.Hour
