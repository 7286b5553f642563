package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// fleet is the replicas of one side, as processes.
type fleet struct {
	orders func(replica int) orders
	broken chan error // a replica ended by itself, or could not start
	turned chan error // the outcome of a rotation

	mu           sync.Mutex // guards the fields below
	members      map[int]*member
	calls        int // that succeeded or failed
	failed       int
	firstFailure string
}

// member is one process.
type member struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	ready   chan struct{} // closed when it waits for commandGo
	ended   chan struct{} // closed when the process is gone
	meant   chan struct{} // closed when it is to end
}

func newFleet(orders func(replica int) orders) *fleet {
	return &fleet{orders: orders, members: make(map[int]*member), broken: make(chan error, 1), turned: make(chan error, 1)}
}

// start starts one replica and gives it its orders.
func (f *fleet) start(replica int) (*member, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("the demo does not find its own program: %w", err)
	}
	line, err := json.Marshal(f.orders(replica))
	if err != nil {
		return nil, err
	}
	m := &member{command: exec.Command(program), ready: make(chan struct{}), ended: make(chan struct{}), meant: make(chan struct{})}
	m.command.Env = append(os.Environ(), replicaVariable+"=1")
	m.command.Stderr = os.Stderr // for a panic
	if m.stdin, err = m.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := m.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.command.Start(); err != nil {
		return nil, fmt.Errorf("replica %d cannot start: %w", replica, err)
	}
	f.mu.Lock()
	f.members[replica] = m
	f.mu.Unlock()
	go f.listen(replica, m, stdout)
	if _, err := fmt.Fprintf(m.stdin, "%s\n", line); err != nil {
		return m, fmt.Errorf("replica %d takes no orders: %w", replica, err)
	}
	return m, nil
}

// listen reads what a replica tells until it is gone.
func (f *fleet) listen(replica int, m *member, stdout io.Reader) {
	defer close(m.ended)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var h happening
		if json.Unmarshal(lines.Bytes(), &h) == nil {
			f.note(replica, m, h)
		}
	}
	err := m.command.Wait()
	select {
	case <-m.meant:
	default:
		f.breakOff(fmt.Errorf("replica %d ended by itself: %v", replica, err))
	}
}

func (f *fleet) note(replica int, m *member, h happening) {
	switch h.What {
	case ready:
		close(m.ready)
	case cannotStart:
		f.breakOff(fmt.Errorf("replica %d cannot start: %s", replica, h.Detail))
	case rotated:
		offer(f.turned, nil)
	case notRotated:
		offer(f.turned, fmt.Errorf("%s", h.Detail))
	case called, callFailed:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.calls++
		if h.What == callFailed {
			f.failed++
			if f.firstFailure == "" {
				f.firstFailure = h.Detail
			}
		}
	}
}

func (f *fleet) breakOff(err error) { offer(f.broken, err) }

// offer sends without waiting: the first value is the one that counts.
func offer(to chan<- error, err error) {
	select {
	case to <- err:
	default:
	}
}

// startAll starts n replicas and waits until all are ready.
func (f *fleet) startAll(ctx context.Context, n int) error {
	ctx, cancel := startContext(ctx)
	defer cancel()
	started := make([]*member, 0, n)
	for replica := 1; replica <= n; replica++ {
		m, err := f.start(replica)
		if err != nil {
			return err
		}
		started = append(started, m)
	}
	for _, m := range started {
		if err := f.await(ctx, m.ready); err != nil {
			return err
		}
	}
	return nil
}

// await waits for done, for something that breaks the demo, or for ctx.
func (f *fleet) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case err := <-f.broken:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func startContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("the replicas were not ready within %s: is the machine very busy?", startTimeout))
}

// begin makes all replicas call at the same moment.
func (f *fleet) begin() error {
	for _, m := range f.all() {
		if _, err := io.WriteString(m.stdin, commandGo+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// kill kills a replica, with no chance to do anything about it, and returns
// its process id.
func (f *fleet) kill(replica int) (pid int, err error) {
	m := f.member(replica)
	close(m.meant)
	if err := m.command.Process.Kill(); err != nil {
		return 0, fmt.Errorf("replica %d cannot be killed: %w", replica, err)
	}
	<-m.ended
	return m.command.Process.Pid, nil
}

// restart starts a replica that was killed, and lets it call.
func (f *fleet) restart(ctx context.Context, replica int) error {
	m, err := f.start(replica)
	if err != nil {
		return err
	}
	ctx, cancel := startContext(ctx)
	defer cancel()
	if err := f.await(ctx, m.ready); err != nil {
		return err
	}
	_, err = io.WriteString(m.stdin, commandGo+"\n")
	return err
}

// rotate makes the first replica that is alive get a new token, and waits for
// it.
func (f *fleet) rotate(ctx context.Context) (replica int, err error) {
	replica = 1
	select {
	case <-f.member(1).meant:
		replica = 2
	default:
	}
	if _, err := io.WriteString(f.member(replica).stdin, commandRotate+"\n"); err != nil {
		return replica, err
	}
	select {
	case err := <-f.turned:
		return replica, err
	case err := <-f.broken:
		return replica, err
	case <-ctx.Done():
		return replica, ctx.Err()
	}
}

// stop ends all replicas, which finish their calls first; those that take too
// long are killed.
func (f *fleet) stop() {
	all := f.all()
	for _, m := range all {
		select {
		case <-m.meant: // it was killed
		default:
			close(m.meant)
		}
		m.stdin.Close()
	}
	late := time.After(stopTimeout)
	for _, m := range all {
		select {
		case <-m.ended:
		case <-late:
			_ = m.command.Process.Kill() // it may have ended just now
			<-m.ended
		}
	}
}

func (f *fleet) all() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*member, 0, len(f.members))
	for _, m := range f.members {
		all = append(all, m)
	}
	return all
}

func (f *fleet) member(replica int) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members[replica]
}

// counts returns how many calls have ended, and how many of them failed.
func (f *fleet) counts() (calls, failed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls, f.failed
}

// pids lists the processes, by replica.
func (f *fleet) pids() string {
	var list []string
	for replica := range len(f.all()) {
		list = append(list, fmt.Sprint(f.member(replica+1).command.Process.Pid))
	}
	return strings.Join(list, " ")
}
