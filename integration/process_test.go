package integration_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one that a test has started. What it prints is kept.
type process struct {
	t      testing.TB
	name   string
	args   string // as ps shows them
	cmd    *exec.Cmd
	stdout transcript
	stderr transcript
	exited chan struct{}

	// tokensOnStdout: this is what the process is for.
	tokensOnStdout bool
	// mayFail: the test looks at the exit code, or kills the process.
	mayFail bool
}

// launch starts a program. env is all of its environment.
func launch(t testing.TB, name string, env []string, stdin io.Reader, path string, args ...string) *process {
	t.Helper()
	return launchAs(t, nil, name, env, stdin, path, args...)
}

// launchAs is launch as another user, unless as is nil.
func launchAs(t testing.TB, as *syscall.Credential, name string, env []string, stdin io.Reader, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(path, args...), exited: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, &p.stdout, &p.stderr
	p.cmd.WaitDelay = patience
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid)); err == nil {
		p.args = strings.ReplaceAll(string(line), "\x00", " ")
	}
	go func() {
		p.cmd.Wait()
		close(p.exited)
	}()
	return p
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// wait returns the exit code, -1 after a signal.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("%s has not ended after %s\n%s", p.name, patience, p.told())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(signal syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Fatalf("%s: %v: %v\n%s", p.name, signal, err, p.told())
	}
}

// freeze stops the process with SIGSTOP, and waits until none of its threads
// runs any more, which is some time after the signal was sent.
func (p *process) freeze() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	eventually(p.t, p.name+" is stopped", func() error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
		for _, thread := range threads {
			text, readErr := os.ReadFile(thread)
			_, after, _ := strings.Cut(string(text), ") ") // the name before may hold anything
			err = errors.Join(err, readErr, expect(thread+": stopped", strings.HasPrefix(after, "T"), true))
		}
		return errors.Join(err, expect("there are threads", len(threads) > 0, true))
	})
}

// thaw lets a stopped process go on.
func (p *process) thaw() {
	p.t.Helper()
	p.signal(syscall.SIGCONT)
}

// kill ends the process as a crash does.
func (p *process) kill() {
	p.t.Helper()
	p.mayFail = true
	p.signal(syscall.SIGKILL)
	p.wait()
}

// stop ends the process as an orchestrator does, and wants it to end well.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		p.t.Errorf("%s ended with %d after SIGTERM, want 0\n%s", p.name, code, p.told())
	}
}

// prints waits until the process has printed a line that fits, and returns the
// first group.
func (p *process) prints(from *transcript, pattern *regexp.Regexp) string {
	p.t.Helper()
	var found []string
	eventually(p.t, p.name+" prints "+pattern.String(), func() error {
		ended := !p.running()
		if found = pattern.FindStringSubmatch(from.String()); found != nil {
			return nil
		}
		if ended {
			p.t.Fatalf("%s has ended without printing %s\n%s", p.name, pattern, p.told())
		}
		return errNotYet
	})
	return found[1]
}

// told is all that it printed, for messages. A token on stdout stays hidden.
func (p *process) told() string {
	out := p.stdout.String()
	if p.tokensOnStdout {
		out = fmt.Sprintf("(%d bytes)\n", len(out))
	}
	return fmt.Sprintf("--- %s: %s\n--- stdout\n%s--- stderr\n%s---", p.name, p.args, out, p.stderr.String())
}

// transcript is a buffer that may be read while it grows.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}
