package wechattest

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Kind is a way to misbehave.
type Kind string

// The kinds of faults. Those marked [processed] do what was asked for, so that
// a mint takes place; the others do not.
const (
	Errcode   Kind = "errcode"    // the error Code, with Body as errmsg if it is set
	Status    Kind = "status"     // HTTP Code (default 500), with Body
	HTML      Kind = "html"       // a page with status 200, as gateways send
	Empty     Kind = "empty"      // status 200 and nothing
	Redirect  Kind = "redirect"   // 302 to Body
	Raw       Kind = "raw"        // Body as it is
	Hang      Kind = "hang"       // no answer until Release or the client leaves; then a broken connection
	Reset     Kind = "reset"      // a connection reset
	Hold      Kind = "hold"       // [processed] but only after Release, even if the client has left
	Slow      Kind = "slow"       // [processed] but only after Delay, even if the client has left
	Lost      Kind = "lost"       // [processed] then a connection reset instead of the answer
	Truncated Kind = "truncated"  // [processed] then half of the answer
	ExpiresIn Kind = "expires_in" // [processed] with Body as the JSON of expires_in; empty leaves it out
)

// kinds is for checking what comes over HTTP.
var kinds = []Kind{Errcode, Status, HTML, Empty, Redirect, Raw, Hang, Reset, Hold, Slow, Lost, Truncated, ExpiresIn}

// Fault is a misbehaviour of the next requests that it fits. Faults are used up
// in the order in which they came.
type Fault struct {
	Kind Kind
	// On says which requests. Default: Mints.
	On Endpoint
	// App restricts the fault to one app. Empty: any.
	App string
	// Times is how many requests. Default 1; -1 means all until Clear.
	Times int
	// Code is the errcode or HTTP status.
	Code int
	// Body is what Kind says.
	Body string
	// Delay is for Slow.
	Delay time.Duration

	arrived chan struct{} // has room for one signal per request
	release chan struct{} // closed to let go of what this fault holds; nil: Release does
}

// Inject adds a fault. It panics for a Kind that does not exist.
func (f *Fake) Inject(fault Fault) {
	if !slices.Contains(kinds, fault.Kind) {
		panic("wechattest: no fault of kind " + strconv.Quote(string(fault.Kind)))
	}
	if fault.On == "" {
		fault.On = Mints
	}
	if fault.Times == 0 {
		fault.Times = 1
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &fault)
}

// FailNext makes the next n mints fail with an errcode.
func (f *Fake) FailNext(n, errcode int) { f.Inject(Fault{Kind: Errcode, Times: n, Code: errcode}) }

// Held is a request that waits.
type Held struct {
	// Arrived receives a value when the request is there.
	Arrived <-chan struct{}
	release chan struct{}
}

// Release lets the request be processed. It must be called once.
func (h *Held) Release() { close(h.release) }

// HoldNext makes the next request of this kind wait for Release. It is
// processed then, even if its client has given up.
func (f *Fake) HoldNext(on Endpoint) *Held {
	h := Fault{Kind: Hold, On: on, arrived: make(chan struct{}, 1), release: make(chan struct{})}
	f.Inject(h)
	return &Held{Arrived: h.arrived, release: h.release}
}

// Release lets go of all requests that Hang and Hold keep, apart from those of
// HoldNext.
func (f *Fake) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.waiting)
	f.waiting = make(chan struct{})
}

// Clear removes all faults and lets go of what they hold.
func (f *Fake) Clear() {
	f.mu.Lock()
	f.faults = nil
	f.mu.Unlock()
	f.Release()
}

// take uses up the first fault that fits, and returns it for this request, or
// nil. What lets go of the request is settled here, before the request shows up
// in counts and events: a Release by somebody who saw it there must not miss it.
func (f *Fake) take(at Endpoint, appID string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.faults {
		if !fault.On.covers(at) || fault.App != "" && fault.App != appID {
			continue
		}
		taken := *fault
		if taken.release == nil {
			taken.release = f.waiting
		}
		if fault.Times > 0 {
			if fault.Times--; fault.Times == 0 {
				f.faults = slices.Delete(f.faults, i, i+1)
			}
		}
		return &taken
	}
	return nil
}

// expiresIn is what to put in place of the number, if anything.
func (t *Fault) expiresIn() *string {
	if t == nil || t.Kind != ExpiresIn {
		return nil
	}
	return &t.Body
}

// play answers a request as the fault wants it; a nil fault as WeChat would.
func (f *Fake) play(fault *Fault, w http.ResponseWriter, r *http.Request, appID string, at Endpoint, process func() answer) {
	if fault == nil {
		process().write(w)
		return
	}
	f.noteFault(fault, appID, at)
	switch fault.Kind {
	case Hang:
		f.wait(fault, 0, r.Context().Done())
		panic(http.ErrAbortHandler)
	case Hold, Slow:
		if !f.wait(fault, fault.Delay, nil) {
			panic(http.ErrAbortHandler)
		}
		process().write(w)
	case Reset:
		reset(w)
	case Lost:
		process()
		reset(w)
	case Truncated:
		truncate(w, process())
	case ExpiresIn:
		process().write(w)
	default:
		fault.answer(clientIP(r), at == WeCom).write(w)
	}
}

func (f *Fake) noteFault(fault *Fault, appID string, at Endpoint) {
	f.mu.Lock()
	if a := f.accounts[appID]; a != nil {
		a.stats.Faults++
	}
	now := f.cfg.Now()
	f.mu.Unlock()
	f.note(Event{At: now, App: appID, Endpoint: at, Outcome: Faulted, Code: fault.Code, Fault: fault.Kind})
}

// wait returns when the fault's delay is over, or when it is released. It
// returns false when the client or the fake has gone.
func (f *Fake) wait(fault *Fault, delay time.Duration, left <-chan struct{}) bool {
	var over <-chan time.Time
	if fault.Kind == Slow {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		over = timer.C
	}
	if fault.arrived != nil {
		fault.arrived <- struct{}{}
	}
	select {
	case <-fault.release:
	case <-over:
	case <-left:
		return false
	case <-f.closed:
		return false
	}
	return true
}

// answer is what the fault says in the place of WeChat, or of WeCom.
func (t *Fault) answer(ip netip.Addr, wecom bool) answer {
	switch t.Kind {
	case Errcode:
		if t.Body != "" {
			return refusalText(t.Code, t.Body)
		}
		if wecom {
			return wecomRefusal(t.Code, ip)
		}
		return refusal(t.Code, ip)
	case Status:
		status := t.Code
		if status == 0 {
			status = http.StatusInternalServerError
		}
		return answer{status: status, contentType: "text/plain", body: []byte(t.Body)}
	case HTML:
		return answer{status: http.StatusOK, contentType: "text/html", body: []byte("<html><body><h1>502 Bad Gateway</h1></body></html>")}
	case Redirect:
		return answer{status: http.StatusFound, location: t.Body}
	case Raw:
		return answer{status: http.StatusOK, contentType: jsonType, body: []byte(t.Body)}
	default: // Empty
		return answer{status: http.StatusOK}
	}
}

// reset breaks the connection so that the client sees a reset, where the
// connection is of a kind that can.
func reset(w http.ResponseWriter) {
	if hijacker, ok := w.(http.Hijacker); ok {
		if conn, _, err := hijacker.Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

// truncate promises the whole answer, sends half and breaks off.
func truncate(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body[:len(a.body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
