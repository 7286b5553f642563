package main

import (
	"context"
	"fmt"
	"time"
)

// phase is one part of the schedule, which is the same for both sides.
type phase struct {
	name     string
	from, to float64 // in lives of a token, since the start
	accident func(ctx context.Context, s *stage, p phase) error
}

// endAt is where the schedule ends, in lives of a token.
const endAt = 2.2

// script is the schedule. A token is due for replacement after three quarters
// of its life, or a bit later, on both sides.
var script = []phase{
	{"cold start", 0, 0.6, nothing},
	{"kill in mid-mint", 0.6, 1.35, killInMidMint},
	{"operator rotates", 1.35, 1.5, rotate},
	{"somebody else mints", 1.5, endAt, mintElsewhere},
}

// nothing happens but the start of all replicas at once, on an empty Redis.
func nothing(context.Context, *stage, phase) error { return nil }

// killInMidMint kills the next replica that mints, at the worst moment: the
// provider has minted, and its answer is on the way. A second later, the
// replica is started again.
func killInMidMint(ctx context.Context, s *stage, p phase) error {
	over := time.After(time.Until(s.began.Add(s.at(p.to))))
	var victim int
	select {
	case victim = <-s.provider.holdNextMint():
	case <-over:
		s.provider.holdNoMint()
		s.remarks("nobody minted")
		return nil
	case <-ctx.Done():
		return nil
	}
	pid, err := s.fleet.kill(victim)
	if err != nil {
		return err
	}
	s.remarks(fmt.Sprintf("killed replica %d, pid %d", victim, pid))
	if !pause(ctx, restartAfter) {
		return nil
	}
	return s.fleet.restart(ctx, victim)
}

// rotate is an operator who wants a new token, and gets it through one of the
// replicas.
func rotate(ctx context.Context, s *stage, _ phase) error {
	ctx, cancel := context.WithTimeout(ctx, rotateTimeout)
	defer cancel()
	replica, err := s.fleet.rotate(ctx)
	switch {
	case err == nil:
		s.remarks(fmt.Sprintf("by replica %d", replica))
	case s.way == todaysWay:
		s.remarks("it failed")
	default:
		return fmt.Errorf("the rotation failed: %w", err)
	}
	return nil
}

// mintElsewhere is another program with the same AppSecret, a test environment
// for example. It mints one token for itself, which ends that of the replicas
// after the overlap.
func mintElsewhere(_ context.Context, s *stage, _ phase) error {
	s.provider.mintElsewhere()
	return nil
}
