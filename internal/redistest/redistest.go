// Package redistest starts real redis-server processes for tests. They listen
// on a free port of the loopback address, write to a folder of their own, and
// end with the test.
package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Require is the environment variable that makes a missing redis-server fail a
// test, rather than skip it, when it is 1. Continuous integration sets it.
const Require = "MINTONCE_REQUIRE_REDIS"

// patience bounds starting and stopping a server, on a busy machine.
const patience = 20 * time.Second

// Server is a redis-server process. Its methods are for one goroutine.
type Server struct {
	t      testing.TB
	first  []string // arguments before the address
	args   []string // arguments after it
	bus    string   // port for the other nodes of a cluster; empty without one
	addr   string
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
	log    *bytes.Buffer
}

// Start starts a server without persistence. args are added to its command
// line, such as "--requirepass", "secret". It skips the test if there is no
// redis-server, or fails it if the variable Require is 1.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	need(t)
	return launch(t, &Server{t: t, dir: t.TempDir(), args: slices.Concat(unsaved, args)})
}

// unsaved are the arguments for a server that keeps nothing on disk.
var unsaved = []string{"--save", "", "--appendonly", "no"}

// need skips the test if there is no redis-server, or fails it if the variable
// Require is 1.
func need(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return
	}
	if os.Getenv(Require) == "1" {
		t.Fatalf("redis-server is not installed, and %s is 1", Require)
	}
	t.Skip("redis-server is not installed")
}

// StartSentinel starts a sentinel that watches primary under the name main,
// decides alone, and takes a server for down after a second without an answer.
// The URL of what it watches is SentinelURL.
func StartSentinel(t testing.TB, primary *Server) *Server {
	t.Helper()
	return StartSentinels(t, primary, 1)[0]
}

// StartSentinels starts n sentinels like StartSentinel, which decide by their
// majority, and waits until they know of each other.
func StartSentinels(t testing.TB, primary *Server, n int) []*Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(primary.addr)
	text := fmt.Sprintf("sentinel monitor main %s %s %d\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 2000\n", host, port, n/2+1)
	var all []*Server
	for range n {
		s := &Server{t: t, dir: t.TempDir()}
		config := filepath.Join(s.dir, "sentinel.conf") // a sentinel needs a file to write to
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.first = []string{config, "--sentinel"}
		all = append(all, launch(t, s))
	}
	for _, s := range all {
		s.until("it knows the other sentinels", func() error {
			info, err := s.ask("INFO sentinel")
			if err == nil && !strings.Contains(info, fmt.Sprintf("sentinels=%d", n)) {
				err = errors.New(info)
			}
			return err
		})
	}
	return all
}

// until waits for what no signal tells.
func (s *Server) until(what string, condition func() error) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %s: not after %s: %v", s.addr, what, patience, err)
		}
	}
}

// launch starts a server on a free port.
func launch(t testing.TB, s *Server) *Server {
	t.Helper()
	t.Cleanup(s.Stop)
	for try := 0; ; try++ {
		s.addr = freeAddress(t)
		if s.bus != "" {
			_, s.bus, _ = net.SplitHostPort(freeAddress(t))
		}
		err := s.start()
		if err == nil {
			return s
		}
		// Somebody else may have taken the port in between.
		if try == 2 {
			t.Fatal(err)
		}
	}
}

// Addr is the HOST:PORT of the server. It stays the same after Restart.
func (s *Server) Addr() string { return s.addr }

// URL is that of database 0, without a password.
func (s *Server) URL() string { return "redis://" + s.addr + "/0" }

// SentinelURL is that of what a sentinel watches.
func (s *Server) SentinelURL() string { return SentinelURLOf([]*Server{s}) }

// SentinelURLOf is that of what several sentinels watch.
func SentinelURLOf(sentinels []*Server) string {
	var addrs []string
	for _, s := range sentinels {
		addrs = append(addrs, s.addr)
	}
	return "redis+sentinel://" + strings.Join(addrs, ",") + "/main/0"
}

// Dir is the folder that the server works in.
func (s *Server) Dir() string { return s.dir }

// Stop kills the server, as a crash does. It is nothing to stop it twice.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill() // also ends a paused one
	<-s.exited
	s.cmd = nil
}

// Forget removes what a server that was stopped has on disk.
func (s *Server) Forget() {
	s.t.Helper()
	kept, err := os.ReadDir(s.dir)
	for _, entry := range kept {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, entry.Name())))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// Restart starts the server again, on the same port and with the same folder,
// after stopping it if need be. It has lost its data unless args kept them.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

// Pause stops the process with SIGSTOP: connections stay open and get no
// answer, until Resume.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatalf("redis-server: %v: %v", signal, err)
	}
}

func (s *Server) start() error {
	host, port, _ := net.SplitHostPort(s.addr)
	args := slices.Concat(s.first, []string{"--bind", host, "--port", port, "--dir", s.dir, "--daemonize", "no"}, s.args)
	if s.bus != "" { // by itself it would be 10,000 above the port, which may be no port
		args = append(args, "--cluster-port", s.bus)
	}
	s.log = new(bytes.Buffer)
	s.cmd = exec.Command("redis-server", args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)

	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if s.answers() {
			return nil
		}
		select {
		case <-s.exited:
			s.cmd = nil
			return fmt.Errorf("redis-server ended at once:\n%s", s.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.Stop()
	return fmt.Errorf("redis-server does not answer at %s after %s:\n%s", s.addr, patience, s.log)
}

// answers reports whether this very process answers to PING; one that asks for
// a password does, too.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprint(conn, "PING\r\n")
	reply := make([]byte, 64)
	n, _ := conn.Read(reply)
	select {
	case <-s.exited:
		return false
	default:
	}
	return strings.HasPrefix(string(reply[:n]), "+PONG") || strings.HasPrefix(string(reply[:n]), "-NOAUTH")
}
