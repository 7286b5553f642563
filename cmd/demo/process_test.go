package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// underTest starts the demo as a process of its own and waits until its
// replicas run. They share its stderr: that ends when the last of them does.
func underTest(t *testing.T) (demo *exec.Cmd, stderr *os.File) {
	t.Helper()
	demo = exec.Command(os.Args[0])
	demo.Env = append(os.Environ(), demoVariable+"=1")
	stderr, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stderr.Close() })
	demo.Stderr = theirs
	stdout, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { demo.Process.Kill() })
	theirs.Close()
	if err := stderr.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.Contains(lines.Text(), "replicas' pids") {
			return demo, stderr
		}
	}
	t.Fatal("the demo did not get as far as its replicas")
	return nil, nil
}

func TestCtrlCEndsAllProcesses(t *testing.T) {
	demo, stderr := underTest(t)
	if err := demo.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(stderr)
	if err != nil {
		t.Fatalf("some process is still there: %v", err)
	}
	if string(said) != "demo: interrupted; all of its processes are gone\n" {
		t.Errorf("stderr is %q", said)
	}
	if demo.Wait(); demo.ProcessState.ExitCode() != 1 {
		t.Errorf("exit code %d, want 1", demo.ProcessState.ExitCode())
	}
}

func TestReplicasLeaveCtrlCToTheDemo(t *testing.T) {
	p, ctx := providerForTest(t)
	store, err := startRedis(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer store.close()
	f := newFleet(func(replica int) orders {
		return orders{Way: todaysWay, Replica: replica, Replicas: 1, API: p.url(replica), Redis: store.url, Prefix: store.prefix, Rate: 1}
	})
	defer f.stop()
	if err := f.startAll(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := f.member(1).command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, err := f.rotate(ctx); err != nil {
		t.Errorf("the replica does not go on: %v", err)
	}
}

func TestReplicasDoNotOutliveTheDemo(t *testing.T) {
	demo, stderr := underTest(t)
	if err := demo.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(stderr); err != nil {
		t.Fatalf("some replica is still there: %v", err)
	} else if len(said) > 0 {
		t.Errorf("stderr is %q", said)
	}
}

func TestAReplicaThatEndsByItselfBreaksTheDemo(t *testing.T) {
	f := newFleet(func(replica int) orders { return orders{Way: mintonceWay, Redis: "no-url", Rate: 1} })
	defer f.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := f.startAll(ctx, 2); err == nil || !strings.Contains(err.Error(), "cannot start: redisstore: store URL") {
		t.Errorf("got %v", err)
	}
}
