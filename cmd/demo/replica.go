package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"
)

// app is a replica's way to the API: the part that the two sides differ in.
type app interface {
	// call makes one API call, with all that the SDK does to make it succeed.
	call(ctx context.Context) error
	// rotate gets a new token for everybody.
	rotate(ctx context.Context) error
	// close ends it, once no call is under way.
	close()
}

// runReplica is the main function of a replica. It returns the exit code.
func runReplica(stdin io.Reader, stdout, stderr io.Writer) int {
	// Ctrl-C goes to all processes of the terminal. The demo ends its replicas
	// itself, in order.
	signal.Ignore(os.Interrupt)
	lines := bufio.NewScanner(stdin)
	var o orders
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &o) != nil {
		fmt.Fprintf(stderr, "demo: %s is for the demo's own use: it marks a replica, which gets its orders from the demo\n", replicaVariable)
		return 2
	}
	r := &replica{orders: o, out: json.NewEncoder(stdout)}
	a, err := newApp(o)
	if err != nil {
		r.tell(cannotStart, err)
		return 1
	}
	r.app = a
	r.tell(ready, nil)
	r.obey(lines)
	return 0
}

func newApp(o orders) (app, error) {
	if o.Way == todaysWay {
		return newNaiveApp(o)
	}
	return newMintonceApp(o)
}

type replica struct {
	orders
	app   app
	calls sync.WaitGroup
	mu    sync.Mutex // guards out
	out   *json.Encoder
}

// obey carries out commands until there are no more, and ends the replica.
func (r *replica) obey(lines *bufio.Scanner) {
	ctx, stop := context.WithCancel(context.Background())
	for lines.Scan() {
		switch lines.Text() {
		case commandGo:
			r.calls.Go(func() { r.callSteadily(ctx) })
		case commandRotate:
			r.calls.Go(r.rotate)
		}
	}
	stop()
	// Should anything hang, the process still ends.
	watchdog := time.AfterFunc(stopTimeout, func() { os.Exit(1) })
	defer watchdog.Stop()
	r.calls.Wait()
	r.app.close()
}

// callSteadily starts calls at a fixed rate, whatever becomes of them, like
// the users of an app do. All replicas make their first call at once; from
// then on they take turns. A call that is late because the machine is busy is
// made all the same, so that both sides get the same number.
func (r *replica) callSteadily(ctx context.Context) {
	interval := time.Second / time.Duration(r.Rate)
	next := time.Now()
	turn := interval * time.Duration(r.Replica-1) / time.Duration(r.Replicas)
	for {
		r.calls.Go(r.callOnce)
		next = next.Add(interval + turn)
		turn = 0
		if !pause(ctx, time.Until(next)) {
			return
		}
	}
}

func (r *replica) callOnce() {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if err := r.app.call(ctx); err != nil {
		r.tell(callFailed, err)
		return
	}
	r.tell(called, nil)
}

func (r *replica) rotate() {
	ctx, cancel := context.WithTimeout(context.Background(), rotateTimeout)
	defer cancel()
	if err := r.app.rotate(ctx); err != nil {
		r.tell(notRotated, err)
		return
	}
	r.tell(rotated, nil)
}

// tell writes one line. Nobody reads it any more if the demo has died; then
// the input has ended too.
func (r *replica) tell(w what, err error) {
	h := happening{What: w}
	if err != nil {
		h.Detail = fmt.Sprintf("%.300s", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.out.Encode(h)
}
