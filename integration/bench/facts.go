package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// facts are what a reader has to know of the machine.
type facts struct {
	date       time.Time
	processor  string
	cores      int
	memory     string
	system     string
	goVersion  string
	redis      string
	loadBefore string
	loadAfter  string
}

func readFacts(ctx context.Context) facts {
	return facts{
		date:       time.Now().UTC(),
		processor:  field("/proc/cpuinfo", "model name"),
		cores:      runtime.NumCPU(),
		memory:     field("/proc/meminfo", "MemTotal"),
		system:     runtime.GOOS + "/" + runtime.GOARCH + " " + output(ctx, "uname", "-r"),
		goVersion:  runtime.Version(),
		redis:      redisVersion(output(ctx, "redis-server", "--version")),
		loadBefore: loadAverage(),
	}
}

func (f facts) markdown(b *strings.Builder) {
	t := table{head: []string{"date", f.date.Format("2006-01-02 15:04 MST")}}
	t.add("processor", fmt.Sprintf("%s, %d cores", f.processor, f.cores))
	t.add("memory", f.memory)
	t.add("system", f.system)
	t.add("Go, Redis", f.goVersion+", "+f.redis)
	t.add("load (1, 5, 15 minutes) before and after", f.loadBefore+" and "+f.loadAfter)
	t.markdown(b)
}

// field returns the value of a line "NAME : VALUE" in a file of /proc, or
// "unknown" on a system that has none.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	words := strings.Fields(string(text))
	return strings.Join(words[:min(3, len(words))], " ")
}

func output(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// redisVersion shortens "Redis server v=7.0.15 sha=...".
func redisVersion(line string) string {
	_, rest, _ := strings.Cut(line, "v=")
	version, _, _ := strings.Cut(rest, " ")
	return "Redis " + version
}
