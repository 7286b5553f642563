package filestore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/filestore"
)

// Tests about processes run this test binary again, in one of these roles. A
// role prints one line per step.
var roles = map[string]func(dir string) error{
	"contend": contend,
	"write":   writeForEver,
	"hold":    holdLock,
}

func play(role string) int {
	if err := roles[role](os.Getenv("FILESTORE_TEST_DIR")); err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// process is a child in one of the roles.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	stdin io.WriteCloser
}

// start runs a role on dir, until the test ends at the latest.
func start(t *testing.T, role, dir string, prepare ...func(*exec.Cmd)) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "FILESTORE_TEST_ROLE="+role, "FILESTORE_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	for _, p := range prepare {
		p(cmd)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return &process{cmd: cmd, lines: bufio.NewScanner(stdout), stdin: stdin}
}

// line returns the next line that the process prints.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("process ended: %v", p.cmd.Wait())
	}
	return p.lines.Text()
}

// wait expects that the process ends well.
func (p *process) wait(t *testing.T) {
	t.Helper()
	for p.lines.Scan() {
		t.Log(p.lines.Text())
	}
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// kill ends the process with SIGKILL, and returns the last line it printed.
func (p *process) kill(t *testing.T) string {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var last string
	for p.lines.Scan() {
		last = p.lines.Text()
	}
	p.cmd.Wait()
	return last
}

const turns = 25

// contend counts to turns in the record, and as often in a plain file that only
// the lock protects.
func contend(dir string) error {
	s, err := filestore.New(dir, filestore.Config{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for done := 0; done < turns; {
		r, now, err := s.Load(ctx, "shop")
		if err != nil {
			return err
		}
		child := r.Child(coordinator.NewStamp(r, now))
		child.EarlyReports++
		_, err = s.Swap(ctx, "shop", r.Stamp(), child, coordinator.Event{Kind: coordinator.EventMinted, Generation: int64(child.EarlyReports)})
		switch {
		case err == nil:
			done++
		case !errors.Is(err, coordinator.ErrConflict):
			return err
		}
	}
	for done := 0; done < turns; {
		lease, err := s.Lock(ctx, "shop", "contender", time.Second)
		if errors.Is(err, coordinator.ErrLocked) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err == nil {
			err = increment(filepath.Join(dir, "counter"))
		}
		if err == nil {
			err = lease.Release(ctx)
		}
		if err != nil {
			return err
		}
		done++
	}
	return nil
}

func increment(path string) error {
	n, err := readCounter(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strconv.Itoa(n+1)), 0o600)
}

func readCounter(path string) (int, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// writeForEver prints a record's stamp once it is written.
func writeForEver(dir string) error {
	s, err := filestore.New(dir, filestore.Config{History: 8})
	if err != nil {
		return err
	}
	for ctx := context.Background(); ; {
		r, now, err := s.Load(ctx, "shop")
		if err != nil {
			return err
		}
		child := r.Child(coordinator.NewStamp(r, now))
		child.DoubtReason = strings.Repeat("x", 64<<10-1)
		event := coordinator.Event{Kind: coordinator.EventMinted, Detail: child.Stamp().String()}
		if _, err := s.Swap(ctx, "shop", r.Stamp(), child, event); err != nil {
			return err
		}
		fmt.Println(child.Stamp())
	}
}

// holdLock takes the lock and keeps it until it is killed.
func holdLock(dir string) error {
	s, err := filestore.New(dir, filestore.Config{})
	if err != nil {
		return err
	}
	lease, err := s.Lock(context.Background(), "shop", "holder-1", time.Second)
	if err != nil {
		return err
	}
	fmt.Println("locked")
	io.Copy(io.Discard, os.Stdin)
	return lease.Release(context.Background())
}
