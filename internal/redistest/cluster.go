package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Cluster is a Redis Cluster of masters without replicas. Its methods are for
// one goroutine.
type Cluster struct {
	// Masters have a third of the slots each, in their order.
	Masters []*Server
}

const (
	masters = 3
	slots   = 16384
)

// StartCluster starts a cluster of three masters and waits until all of them
// say that it works. It skips or fails the test as Start does.
func StartCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	need(t)
	c := &Cluster{}
	cluster := []string{"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000"}
	for range masters {
		const chosenAtLaunch = "0"
		c.Masters = append(c.Masters, launch(t, &Server{t: t, dir: t.TempDir(), bus: chosenAtLaunch, args: slices.Concat(unsaved, cluster, args)}))
	}
	for i, s := range c.Masters {
		if err := s.ok("CLUSTER ADDSLOTSRANGE %d %d", i*slots/masters, (i+1)*slots/masters-1); err != nil {
			t.Fatal(err)
		}
		if err := s.meet(c.Masters[0]); i > 0 && err != nil {
			t.Fatal(err)
		}
	}
	c.settle(t)
	return c
}

// URL is that of the cluster.
func (c *Cluster) URL() string {
	var addrs []string
	for _, s := range c.Masters {
		addrs = append(addrs, s.Addr())
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}

// settle waits until every master knows of the others, and that all slots are
// served.
func (c *Cluster) settle(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var failed error
		for _, s := range c.Masters {
			info, err := s.ask("CLUSTER INFO")
			if err == nil && (!strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_size:%d", masters))) {
				err = errors.New(info)
			}
			failed = errors.Join(failed, err)
		}
		if failed == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cluster does not work after %s: %v", patience, failed)
		}
	}
}

// meet makes two nodes know each other.
func (s *Server) meet(other *Server) error {
	host, port, _ := net.SplitHostPort(other.addr)
	return s.ok("CLUSTER MEET %s %s %s", host, port, other.bus)
}

// ok sends a command that is answered with OK.
func (s *Server) ok(command string, args ...any) error {
	command = fmt.Sprintf(command, args...)
	if reply, err := s.ask(command); err != nil || reply != "OK" {
		return fmt.Errorf("%s to %s: %q, %v", command, s.addr, reply, err)
	}
	return nil
}

// ask sends one inline command on a connection of its own. Its reply is a text.
func (s *Server) ask(command string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(conn, "%s\r\n", command)
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	line = strings.TrimSuffix(line, "\r\n")
	switch {
	case err != nil:
		return "", err
	case strings.HasPrefix(line, "+"):
		return line[1:], nil
	case !strings.HasPrefix(line, "$"):
		return "", errors.New(line)
	}
	length, err := strconv.Atoi(line[1:])
	if err != nil || length < 0 {
		return "", errors.New(line)
	}
	text := make([]byte, length)
	_, err = io.ReadFull(reader, text)
	return string(text), err
}
