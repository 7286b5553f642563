package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// moment is a reading of the monotonic clock that all processes of a machine
// share, in nanoseconds.
type moment int64

func now() moment {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // there is no such machine
	}
	return moment(t.Nano())
}

func (m moment) since(earlier moment) time.Duration { return time.Duration(m - earlier) }

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
