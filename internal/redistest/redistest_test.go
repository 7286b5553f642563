package redistest_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/redistest"
)

// do sends one inline command on a new connection and returns the first line
// of the reply, or an empty text if there is none in time.
func do(t *testing.T, s *redistest.Server, command string, within time.Duration) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(within))
	fmt.Fprintf(conn, "%s\r\n", command)
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

func TestServer(t *testing.T) {
	const patience = 20 * time.Second
	s := redistest.Start(t, "--appendonly", "yes")
	addr := s.Addr()
	if got := do(t, s, "SET key value", patience); got != "+OK" {
		t.Fatalf("SET: %q", got)
	}
	if got := do(t, s, "EXISTS key", patience); got != ":1" {
		t.Errorf("EXISTS: %q", got)
	}
	s.Pause()
	if got := do(t, s, "PING", 200*time.Millisecond); got != "" {
		t.Errorf("PING to a paused server: %q", got)
	}
	s.Resume()
	if got := do(t, s, "PING", patience); got != "+PONG" {
		t.Errorf("PING to a server that goes on: %q", got)
	}
	s.Restart()
	if s.Addr() != addr {
		t.Errorf("restarted at %s instead of %s", s.Addr(), addr)
	}
	if got := do(t, s, "EXISTS key", patience); got != ":1" {
		t.Errorf("EXISTS after a restart with the same folder: %q", got)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "appendonlydir")); err != nil {
		t.Error(err)
	}
	s.Pause()
	s.Stop() // a paused one too
	s.Stop()
	if got := do(t, s, "PING", patience); got != "" {
		t.Errorf("PING to a server that was stopped: %q", got)
	}
}

// TestNobodyIsGivenThePort: a server that comes back finds its port free,
// whatever others have been given by the kernel meanwhile.
func TestNobodyIsGivenThePort(t *testing.T) {
	first, last := 32768, 60999 // of the ports that the kernel gives away
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if _, err := fmt.Sscan(string(text), &first, &last); err != nil {
			t.Fatal(err)
		}
	}
	if first < 11_000 {
		return // there are hardly any others on this machine
	}
	for range 5 {
		_, text, _ := net.SplitHostPort(redistest.Start(t).Addr())
		if port, err := strconv.Atoi(text); err != nil || port >= first && port <= last {
			t.Errorf("port %s is one of %d to %d", text, first, last)
		}
	}
}

func TestServersAreEmptyAndEnd(t *testing.T) {
	var ended *redistest.Server
	t.Run("inner", func(t *testing.T) {
		ended = redistest.Start(t)
		other := redistest.Start(t)
		if ended.Addr() == other.Addr() {
			t.Error("two servers have one address")
		}
		do(t, ended, "SET key value", time.Second)
		ended.Restart()
		if got := do(t, ended, "EXISTS key", 20*time.Second); got != ":0" {
			t.Errorf("EXISTS after a restart without persistence: %q", got)
		}
	})
	if got := do(t, ended, "PING", time.Second); got != "" {
		t.Errorf("the server has outlived its test: %q", got)
	}
}
