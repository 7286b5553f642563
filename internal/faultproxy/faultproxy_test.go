package faultproxy_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/faultproxy"
)

// echo starts a server that answers every line with itself, and passes what it
// receives to the channel.
func echo(t *testing.T) (addr string, received chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	received = make(chan string, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					received <- lines.Text()
					fmt.Fprintln(conn, lines.Text())
				}
			}()
		}
	}()
	return listener.Addr().String(), received
}

type client struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, p *faultproxy.Proxy) *client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn, bufio.NewReader(conn)}
}

// ask sends a line and returns the answer, or the error instead of one.
func (c *client) ask(line string, within time.Duration) string {
	c.SetDeadline(time.Now().Add(within))
	fmt.Fprintln(c, line)
	answer, err := c.lines.ReadString('\n')
	if err != nil {
		return "error"
	}
	return strings.TrimSpace(answer)
}

const patience = 20 * time.Second

func want(t *testing.T, got, wanted, what string) {
	t.Helper()
	if got != wanted {
		t.Errorf("%s: %q, want %q", what, got, wanted)
	}
}

func TestLoseReply(t *testing.T) {
	addr, received := echo(t)
	p := faultproxy.New(t, addr)
	c := dial(t, p)
	want(t, c.ask("one", patience), "one", "before the fault")
	lost := p.LoseReply("TWO")
	want(t, c.ask("three", patience), "three", "another request")
	want(t, c.ask("two", patience), "error", "the request whose reply is lost")
	<-lost
	for _, request := range []string{"one", "three", "two"} {
		want(t, <-received, request, "what the server received")
	}
	want(t, dial(t, p).ask("two", patience), "two", "the same request again")
	if n := p.Accepted(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestStallCutRefuse(t *testing.T) {
	addr, _ := echo(t)
	p := faultproxy.New(t, addr)
	c := dial(t, p)
	want(t, c.ask("one", patience), "one", "at first")
	p.Stall()
	want(t, c.ask("two", 100*time.Millisecond), "error", "while stalled")
	p.Resume()
	p.Resume()
	c = dial(t, p)
	want(t, c.ask("three", patience), "three", "after the stall")
	p.Cut()
	want(t, c.ask("four", patience), "error", "on a connection that was cut")
	want(t, dial(t, p).ask("five", patience), "five", "on a new connection")
	p.Refuse()
	if conn, err := net.Dial("tcp", p.Addr()); err == nil { // accepted, and closed
		want(t, (&client{conn, bufio.NewReader(conn)}).ask("six", patience), "error", "while refused")
		conn.Close()
	}
	p.Accept()
	want(t, dial(t, p).ask("seven", patience), "seven", "when accepted again")
}

func TestRetargetSlowKeepReplies(t *testing.T) {
	first, fromFirst := echo(t)
	second, fromSecond := echo(t)
	p := faultproxy.New(t, first)
	c := dial(t, p)
	want(t, c.ask("one", patience), "one", "at first")
	p.Retarget(second)
	want(t, c.ask("two", patience), "error", "on a connection to the server before")
	c = dial(t, p)
	want(t, c.ask("three", patience), "three", "on a new connection")
	want(t, <-fromFirst, "one", "what the first server received")
	want(t, <-fromSecond, "three", "what the second server received")

	const delay = 30 * time.Millisecond
	p.Slow(delay)
	began := time.Now()
	want(t, c.ask("four", patience), "four", "while it is slow")
	if took := time.Since(began); took < 2*delay { // there and back
		t.Errorf("the answer came after %s, want at least %s", took, 2*delay)
	}
	p.Slow(0)
	p.LoseReply("five")
	p.KeepReplies()
	want(t, c.ask("five", patience), "five", "a reply that is kept after all")
}
