package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mintonce/mintonce/internal/feed"
)

const (
	// heartbeat is how often a stream without events shows that it lives, so
	// that neither side nor a proxy takes it for dead.
	heartbeat = 15 * time.Second
	// writePatience is how long a reader may take for one event.
	writePatience = 10 * time.Second
	// comeBack is when those come back whose stream has ended.
	comeBack = 3 * time.Second
)

// events streams what happens to the tokens that the caller may read, as
// server-sent events, until one of the two leaves:
// https://html.spec.whatwg.org/multipage/server-sent-events.html
//
//	event: hello   {"instance","resumed"}: first of all; resumed after Last-Event-ID
//	event: token   one coordinator.Event
//	event: gap     {}: some events may be missing
func (a *api) events(w http.ResponseWriter, r *http.Request) *problem {
	who, problem := a.authenticate(r)
	if problem != nil {
		return problem
	}
	if _, problem := a.readable(who); problem != nil {
		return problem
	}
	if a.Feed == nil {
		return notFound()
	}
	client, may := "", func(string) bool { return true }
	if c := who.client; c != nil {
		client, may = c.Name, c.MayUse
	}
	subscription, err := a.Feed.Subscribe(client, r.Header.Get("Last-Event-ID"), may)
	if err != nil {
		return busy(err)
	}
	defer subscription.Close()

	s := &stream{w: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // for nginx, which would collect them
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	hello, _ := json.Marshal(map[string]any{"instance": a.Instance, "resumed": subscription.Resumed()})
	s.write(fmt.Sprintf("retry: %d\nevent: hello\ndata: %s\n\n", comeBack.Milliseconds(), hello))
	s.run(r, subscription)
	return nil
}

func busy(err error) *problem {
	p := newProblem("busy", http.StatusServiceUnavailable, "too many streams", "close some, or read /v1/status from time to time")
	if errors.Is(err, feed.ErrClosed) {
		p.Title, p.Detail = "the server is stopping", "ask another one, or come back"
	}
	p.retryAfter = comeBack
	return p
}

// stream writes to one reader.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error // once the reader has left, or is too slow
}

func (s *stream) run(r *http.Request, subscription *feed.Subscription) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for s.err == nil {
		select {
		case <-r.Context().Done():
			return
		case entry, ok := <-subscription.Entries():
			if !ok {
				return
			}
			s.send(entry)
			beat.Reset(heartbeat)
		case <-beat.C:
			s.write(": alive\n\n")
		}
	}
}

func (s *stream) send(entry feed.Entry) {
	if entry.Gap {
		s.write("id: " + entry.ID + "\nevent: gap\ndata: {}\n\n")
		return
	}
	data, err := json.Marshal(entry.Event)
	if err != nil {
		return // no event gets here
	}
	s.write("id: " + entry.ID + "\nevent: token\ndata: " + string(data) + "\n\n")
}

// write takes the place of the server's limit for an answer, which a stream
// would exceed.
func (s *stream) write(text string) {
	_ = s.control.SetWriteDeadline(time.Now().Add(writePatience))
	if _, s.err = s.w.Write([]byte(text)); s.err == nil {
		s.err = s.control.Flush()
	}
}
