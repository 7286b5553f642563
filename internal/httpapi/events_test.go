package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/internal/feed"
	"github.com/mintonce/mintonce/internal/httpapi"
	"github.com/mintonce/mintonce/internal/pipetest"
)

// streaming is a server with a feed, and with limits for a request that are
// shorter than any stream.
type streaming struct {
	t      *testing.T
	feed   *feed.Feed
	server *http.Server
	client *http.Client
	url    string
}

func newStreaming(t *testing.T, cfg httpapi.Config, log *slog.Logger, limit time.Duration) *streaming {
	t.Helper()
	s := &streaming{t: t, feed: feed.New(storetest.NewMemory())}
	s.feed.Keep([]string{"shop", "other"})
	t.Cleanup(s.feed.Close)
	cfg.Credentials = map[string]httpapi.Credential{"shop": live(), "other": live()}
	cfg.Instance, cfg.Feed = "me", s.feed
	cfg.Log = log // so that the stream goes through the access log
	s.server = httpapi.NewServer(httpapi.New(cfg), log)
	s.server.ReadTimeout, s.server.WriteTimeout = limit, limit
	s.server.RegisterOnShutdown(s.feed.Close)
	t.Cleanup(func() { s.server.Close() })
	return s
}

// serveFeed starts a server in a bubble. That waits for the handlers, which
// closing a server does not, and they log to t.
func serveFeed(t *testing.T, cfg httpapi.Config) *streaming {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := newStreaming(t, cfg, log, 50*time.Millisecond)
	listener := pipetest.Listen()
	go s.server.Serve(listener)
	s.url, s.client = "http://127.0.0.1", &http.Client{Transport: &http.Transport{DialContext: listener.Dial}}
	return s
}

// serveFeedOverHTTP2 starts a server on a socket, for net/http keeps channels
// of HTTP/2 from one bubble to the next. Its limits have room for a handshake on
// a busy machine.
func serveFeedOverHTTP2(t *testing.T) *streaming {
	t.Helper()
	s := newStreaming(t, httpapi.Config{}, slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug})), 3*time.Second)
	server := httptest.NewUnstartedServer(nil)
	server.Config, server.EnableHTTP2 = s.server, true
	server.StartTLS()
	s.url, s.client = server.URL, server.Client()
	return s
}

func (s *streaming) observe(name, detail string) {
	s.feed.Observe(coordinator.Event{Kind: coordinator.EventFailed, Name: name, At: time.Now(), By: "me", Detail: detail})
}

// reader reads a stream.
type reader struct {
	t     *testing.T
	lines chan string // closed at the end of the stream
}

func (s *streaming) open(key, last string) *reader {
	s.t.Helper()
	q, err := http.NewRequestWithContext(s.t.Context(), "GET", s.url+"/v1/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+key)
	if last != "" {
		q.Header.Set("Last-Event-ID", last)
	}
	response, err := s.client.Do(q)
	if err != nil {
		s.t.Fatal(err)
	}
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" || response.Header.Get("Cache-Control") != "no-store" {
		s.t.Fatalf("%s %v", response.Status, response.Header)
	}
	r := &reader{t: s.t, lines: make(chan string, 1000)}
	go func() {
		defer response.Body.Close()
		defer close(r.lines)
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			r.lines <- scanner.Text()
		}
	}()
	return r
}

// next returns the lines up to the next empty one, or "END".
func (r *reader) next() string {
	r.t.Helper()
	var lines []string
	for {
		select {
		case line, ok := <-r.lines:
			switch {
			case !ok:
				return "END"
			case line == "":
				return strings.Join(lines, "\n")
			}
			lines = append(lines, line)
		case <-time.After(20 * time.Second):
			r.t.Fatalf("nothing comes after %q", lines)
		}
	}
}

func (r *reader) want(parts ...string) string {
	r.t.Helper()
	text := r.next()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			r.t.Errorf("%q has no %q", text, part)
		}
	}
	return text
}

// A stream outlives the limits that hold for a request, and goes on where the
// one before ended.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { testEvents(t, serveFeed(t, httpapi.Config{})) })
}

func TestEventsOverHTTP2(t *testing.T) {
	t.Parallel()
	testEvents(t, serveFeedOverHTTP2(t))
}

func testEvents(t *testing.T, s *streaming) {
	r := s.open("", "")
	if hello := r.next(); hello != "retry: 3000\nevent: hello\ndata: {\"instance\":\"me\",\"resumed\":false}" {
		t.Errorf("%q", hello)
	}
	time.Sleep(s.server.WriteTimeout + s.server.WriteTimeout/5) // and so is ReadTimeout
	s.observe("shop", "line one\nline two")
	text := r.want("event: token\n", `"event":"failed","name":"shop"`, `"detail":"line one\nline two"`)
	if strings.Count(text, "\n") != 2 {
		t.Errorf("%q is not one event", text)
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(text, "id: "), "\n")
	s.observe("shop", "second")
	r.want("second")
	again := s.open("", id)
	again.want(`"resumed":true`)
	again.want("second")
	again = s.open("", "another-0")
	again.want(`"resumed":false`)
}

func TestEventsByRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveFeed(t, httpapi.Config{Clients: clients})
		for key, want := range map[string]int{"": 401, "wrong": 401, operatorKey: 403} {
			q, _ := http.NewRequestWithContext(t.Context(), "GET", s.url+"/v1/events", nil)
			q.Header.Set("Authorization", "Bearer "+key)
			response, err := s.client.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%q: %s", key, response.Status)
			}
		}
		r := s.open(blindKey, "") // which may read other
		r.next()
		s.observe("shop", "secret")
		s.observe("other", "mine")
		if text := r.want("mine"); strings.Contains(text, "shop") {
			t.Errorf("%q", text)
		}
		s.feed.Disconnect()
		if end := r.next(); end != "END" {
			t.Errorf("after the rights have changed: %q", end)
		}
	})
}

// Whoever only asks for the head gets no stream, and a server without a feed
// has no such path.
func TestEventsWithout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveFeed(t, httpapi.Config{})
		response, err := s.client.Head(s.url + "/v1/events")
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("HEAD: %v, %v", response, err)
		}
		response.Body.Close()
		handler := httpapi.New(httpapi.Config{})
		if w := (request{method: "GET", path: "/v1/events"}).send(t, handler); w.Code != 404 {
			t.Errorf("without a feed: %d %s", w.Code, w.Body)
		}
	})
}

func TestEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveFeed(t, httpapi.Config{})
		for range 32 {
			if _, err := s.feed.Subscribe("", "", func(string) bool { return true }); err != nil {
				t.Fatal(err)
			}
		}
		response, err := s.client.Get(s.url + "/v1/events")
		if err != nil || response.StatusCode != 503 || response.Header.Get("Retry-After") == "" {
			t.Fatalf("the one too many: %v, %v", response, err)
		}
		response.Body.Close()
	})
}

// Streams end with the server, which does not wait for their readers.
func TestShutdownEndsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveFeed(t, httpapi.Config{})
		r := s.open("", "")
		r.next()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := s.server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if end := r.next(); end != "END" {
			t.Errorf("after Shutdown: %q", end)
		}
		if _, err := s.feed.Subscribe("", "", nil); !errors.Is(err, feed.ErrClosed) {
			t.Errorf("Subscribe: %v", err)
		}
	})
}

// A reader that has left is noticed without an event.
func TestReaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveFeed(t, httpapi.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		q, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/v1/events", nil)
		for range 40 { // more than may stay
			response, err := s.client.Do(q)
			if err != nil || response.StatusCode != 200 {
				t.Fatalf("%v, %v", response, err)
			}
			response.Body.Close()
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				other, err := s.feed.Subscribe("", "", func(string) bool { return true })
				if err == nil {
					other.Close()
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("those who have left still count")
				}
			}
		}
		cancel()
	})
}
