package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"
)

// childArgument makes this program one of the processes that it measures.
const childArgument = "child"

// roles are what a child can be. A role ends when its parent does, because it
// then reads the end of its input.
var roles = map[string]func(context.Context, *parent) error{
	"guard":    guard,
	"caller":   beCaller,
	"replicas": beReplicas,
	"group":    beGroup,
	"reader":   beReader,
	"handler":  beHandler,
}

// parent is how a child talks to the process that started it: JSON values over
// its standard input and output.
type parent struct {
	args []string
	in   *json.Decoder
	out  *json.Encoder
}

func (p *parent) receive(into any) error { return p.in.Decode(into) }
func (p *parent) send(v any) error       { return p.out.Encode(v) }

func beChild(ctx context.Context, args []string) error {
	role := roles[args[0]]
	if role == nil {
		return fmt.Errorf("there is no role %q", args[0])
	}
	stop, err := profile(os.Getenv(profileVariable))
	if err != nil {
		return err
	}
	defer stop()
	return role(ctx, &parent{args: args[1:], in: json.NewDecoder(os.Stdin), out: json.NewEncoder(os.Stdout)})
}

// profileVariable names the file for a child's profiles, without extension.
const profileVariable = "MINTONCE_BENCH_PROFILE"

func profile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	cpu, err := os.Create(file + ".cpu.pprof")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		cpu.Close()
	}, nil
}

// heapProfile writes a profile of what is in use, where profiles are wanted.
func heapProfile(name string) error {
	file := os.Getenv(profileVariable)
	if file == "" {
		return nil
	}
	heap, err := os.Create(file + "." + name + ".heap.pprof")
	if err != nil {
		return err
	}
	defer heap.Close()
	return pprof.WriteHeapProfile(heap)
}

// child is a process that this one has started.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	send *json.Encoder
	out  *json.Decoder
	once sync.Once
	err  error
}

// spawn starts a child. It ends with the world at the latest.
func (w *world) spawn(ctx context.Context, role string, args ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, w.self, append([]string{childArgument, role}, args...)...)}
	c.cmd.Stderr = os.Stderr
	c.cmd.WaitDelay = 5 * time.Second
	if w.profiles != "" && role != "guard" {
		w.spawned++
		c.cmd.Env = append(os.Environ(), profileVariable+"="+filepath.Join(w.profiles, role+"-"+strconv.Itoa(w.spawned)))
	}
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.send, c.out = in, json.NewEncoder(in), json.NewDecoder(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	w.atEnd(func() { c.end() })
	return c, nil
}

// ask sends a value and waits for the answer.
func (c *child) ask(question, answer any) error {
	if err := c.send.Encode(question); err != nil {
		return err
	}
	return c.receive(answer)
}

func (c *child) receive(into any) error {
	if err := c.out.Decode(into); err != nil {
		return fmt.Errorf("process %d says no more (%w): see above for what it said", c.cmd.Process.Pid, err)
	}
	return nil
}

// end closes the child's input and waits for it, a few seconds at most.
func (c *child) end() error {
	c.once.Do(func() {
		c.in.Close()
		timer := time.AfterFunc(10*time.Second, func() { c.cmd.Process.Kill() })
		defer timer.Stop()
		c.err = c.cmd.Wait()
	})
	return c.err
}

// guard runs another program and kills it when the parent has ended, however
// that came about.
func guard(ctx context.Context, p *parent) error {
	cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := p.send(cmd.Process.Pid); err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cmd.Process.Kill()
	}()
	cmd.Wait() // it is killed, or says on stderr why it has ended
	return nil
}
